/* The worker's part in runtime/applied.h: it looks up what comes again, collects what it applied,
 * puts it into its block, and forgets it in the end. Used where the source has no order.
 * @thread worker, but for init, load and fini @thread control */
#ifndef RUNTIME_WORKER_APPLIED_H
#define RUNTIME_WORKER_APPLIED_H

#include "runtime/worker.h"

void worker_applied_init(struct worker *worker);
void worker_applied_fini(struct worker *worker); /* safe on a zeroed struct */
/* What earlier runs left: all workers look at all of it, since the vshards may have other owners
 * now; the owner of an entry has it acknowledged and deletes it. */
strid_status worker_applied_load(struct worker *worker, strid_error *err);

/* Whether the record came before. If it was settled it is acknowledged (again) with the open block;
 * while it waits, nothing is told of it. */
bool worker_applied_has(struct worker *worker, uint32_t partition, const struct chunk_slot *slot);
/* The record is done with for now: settled in the open block, or kept. */
void worker_applied_add(struct worker *worker, uint32_t partition, const struct chunk_slot *slot);

/* The record in hand waits, or has a dead letter on its way: it is not acknowledged. */
static inline void worker_applied_keep(struct worker *worker) { worker->applied.is_kept = true; }

/* A record that was kept is settled in the open block: it is acknowledged with it. */
void worker_applied_settle(struct worker *worker, const struct partition *partition,
                           strid_position position, uint32_t vshard);
/* A record that was kept is another node's by now: it is not acknowledged, and where it comes again
 * it is handled as a new one. */
void worker_applied_release(struct worker *worker, const struct partition *partition,
                            strid_position position);
/* An earlier run kept it. Before the first record. */
void worker_applied_recall(struct worker *worker, const struct partition *partition,
                           strid_position position, uint32_t vshard);

/* Puts what was collected into the state that the block is about to be packed from. */
void worker_applied_seal(struct worker *worker);
/* That block is sealed, and storage has not seen it yet: who sees it synced sees these batches. */
void worker_applied_sealed(struct worker *worker);
/* Hands over sealed batches and forgets those that came back; returns how much was done. */
int worker_applied_do_work(struct worker *worker, bool may_write);
/* Whether nothing is known as applied any more but what waits, and that is durable. @thread
 * committer, once nothing is handled any more */
bool worker_applied_is_forgotten(const struct worker *worker);

#endif
