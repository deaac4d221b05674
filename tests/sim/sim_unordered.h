/* A source without order over the simulated input, as competing consumers have one: records come in
 * any order, and again and again until their acknowledgement has been taken in. Which of those that
 * were told are taken in when the process ends is unknown. One thread. */
#ifndef SIM_UNORDERED_H
#define SIM_UNORDERED_H

#include <strid/source.h>

#include "base/buffer.h"

enum sim_delivery { SIM_TO_COME = 0, SIM_DELIVERED, SIM_TOLD, SIM_TAKEN_IN };

struct sim_unordered {
    uint32_t *order;     /* in which records come, drawn at each assign */
    uint8_t *deliveries; /* enum sim_delivery, per record */
    uint32_t *owed;      /* per record: deliveries since assign that nobody was told of */
    uint32_t owed_all;
    struct buffer told; /* record indexes, since assign */
    uint32_t taken_in;  /* of these, the first */
};

extern const strid_source_ops sim_unordered_ops;

/* Whether every acknowledgement of a partition has been taken in. */
bool sim_unordered_is_done(uint32_t partition);
/* A run came to its end: of what is settled every delivery has been told. */
void sim_unordered_check_told(void);
/* The dead letter of a record reaches a queue that acknowledges what it takes, in one step. false:
 * the record is acknowledged, and the queue takes nothing. */
bool sim_unordered_move(uint32_t partition, uint32_t index);
/* The node is gone: some of what it told was taken in, the rest never will be. */
void sim_unordered_leave(uint32_t partition);
/* Whether the record never comes again. */
bool sim_unordered_is_taken_in(uint32_t partition, uint32_t index);
/* What is acknowledged needs nothing of this node any more: it was done, and its outputs are
 * outside, or its dead letter is. */
void sim_unordered_check_settled(uint32_t partition, uint32_t index);
void sim_unordered_fini(struct sim_unordered *unordered);

#endif
