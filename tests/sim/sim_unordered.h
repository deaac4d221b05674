/* A source without order over the simulated input, as competing consumers have one: records come in
 * any order, and again and again until their acknowledgement has been taken in. Which of those that
 * were told are taken in when the process ends is unknown. One thread. */
#ifndef SIM_UNORDERED_H
#define SIM_UNORDERED_H

#include <strid/source.h>

#include "base/buffer.h"

#include "sim_others.h"

enum sim_delivery {
    SIM_TO_COME = 0,
    SIM_DELIVERED,
    SIM_OF_OTHERS, /* another consumer has taken the entry */
    SIM_TOLD,
    SIM_TAKEN_IN,
    SIM_SETTLED_BY_OTHERS
};

/* What a queue does that acknowledges what it takes. */
enum sim_moved {
    SIM_MOVED = 0,
    SIM_MOVED_BEFORE, /* the entry is acknowledged: nothing is added */
    SIM_DECLINED      /* it is another consumer's: nothing is added */
};

struct sim_unordered {
    uint32_t *order;     /* in which records come, drawn at each assign */
    uint8_t *deliveries; /* enum sim_delivery, per record */
    /* Deliveries since assign, and of what an earlier run has left, of which nobody was told and
     * that were not released. */
    uint32_t in_hand;
    struct buffer told; /* record indexes, since assign */
    uint32_t taken_in;  /* of these, the first */
    bool is_over;       /* the run came to its end, and all that was read of it is handled */
    struct sim_others others;
};

extern const strid_source_ops sim_unordered_ops;

/* Whether every acknowledgement of a partition has been taken in. */
bool sim_unordered_is_done(uint32_t partition);
/* A run came to its end: what is in hand is what waits. */
void sim_unordered_check_told(void);
/* Behind that, when it is known what waits (`parked`): whatever was delivered and not told does. */
void sim_unordered_check_kept(void);
/* The dead letter of a record reaches a queue that acknowledges what it takes, in one step. */
enum sim_moved sim_unordered_move(uint32_t partition, uint32_t index);
/* The node is gone: some of what it told was taken in, the rest never will be. */
void sim_unordered_leave(uint32_t partition);
/* Whether the record never comes again, and whether that is since this node told of it. */
bool sim_unordered_is_gone(uint32_t partition, uint32_t index);
bool sim_unordered_is_taken_in(uint32_t partition, uint32_t index);
void sim_unordered_fini(struct sim_unordered *unordered);

#endif
