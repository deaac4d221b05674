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
    struct buffer told;  /* record indexes, since assign */
    uint32_t taken_in;   /* of these, the first */
};

extern const strid_source_ops sim_unordered_ops;

/* Whether every acknowledgement of a partition has been taken in. */
bool sim_unordered_is_done(uint32_t partition);
void sim_unordered_fini(struct sim_unordered *unordered);

#endif
