/* The other consumer of a group without order: it takes entries of ours whose dead letter is on its
 * way, so that the queue, which moves letters, declines that letter. It settles such an entry
 * itself, or leaves it, and then the entry comes to us again, as one that was never seen. Of the
 * source of one partition. One thread. */
#ifndef SIM_OTHERS_H
#define SIM_OTHERS_H

#include "base/buffer.h"

#include "sim_input.h"

struct sim_others {
    struct buffer entries; /* uint32_t: indexes of records that it has */
};

void sim_others_fini(struct sim_others *others); /* safe on a zeroed struct */

/* A run begins, or a node is lost: some of its entries are settled by now, others come to us. */
void sim_others_leave(uint32_t partition);
/* The queue gets a letter: whether its entry is, by now, the other consumer's. */
bool sim_others_decline(uint32_t partition, uint32_t index);
/* Goes on with one entry. true: it left that one, which comes to us next. */
bool sim_others_step(uint32_t partition, uint32_t *index);

#endif
