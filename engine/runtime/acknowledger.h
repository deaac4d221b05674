/* Acknowledging what a source without order delivered (runtime/applied.h): tells the source the
 * positions of batches whose block is synced, sees them confirmed, waits until no chunk can hold a
 * copy of them any more, and gives the batches back to their workers. A part of the committer:
 * @thread committer, but for create and destroy @thread control */
#ifndef RUNTIME_ACKNOWLEDGER_H
#define RUNTIME_ACKNOWLEDGER_H

#include "runtime/applied.h"
#include "runtime/run.h"

struct acknowledger;

struct acknowledger *acknowledger_create(struct run *run); /* NULL: the source has an order */
void acknowledger_destroy(struct acknowledger *acknowledger);
struct ring *acknowledger_from_worker(struct acknowledger *acknowledger, uint32_t worker);
struct ring *acknowledger_to_worker(struct acknowledger *acknowledger, uint32_t worker);

/* Sees what the source has confirmed: before the committer takes the rounds that were read by then.
 */
void acknowledger_look(struct acknowledger *acknowledger);
/* Of rounds of a partition, in their order: taken from the reader; durable, and so handled. */
void acknowledger_round_taken(struct acknowledger *acknowledger, uint32_t partition);
void acknowledger_round_done(struct acknowledger *acknowledger, uint32_t partition);
int acknowledger_do_work(struct acknowledger *acknowledger);

/* Nothing is left to be told, confirmed or forgotten, so that who moves the group now is not in the
 * way of what the next run would know as applied; or for so long that the next run may tell it, for
 * it begins with what is left. Asked when all else is done. */
bool acknowledger_is_done(struct acknowledger *acknowledger);
bool acknowledger_gave_up(const struct acknowledger *acknowledger);

#endif
