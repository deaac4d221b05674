/* Records whose outcome a host's thread says later. Each is a waiting record (worker_retry.h) that
 * is not due until its outcome is there: in the block it stands as one that is due at once, with
 * the attempts it had, so that progress passes it and a restart handles it again. What its handlers
 * wrote and emitted is kept in memory.
 *
 *   pending    strid_defer() was called, the handlers are running
 *   open       they said STRID_DEFERRED: the record waits, its key's later records are parked
 *   (gone)     settled, timed out, or withdrawn by another outcome
 *
 * @thread the worker, in its do_work @locks none */
#ifndef RUNTIME_WORKER_DEFERRED_H
#define RUNTIME_WORKER_DEFERRED_H

#include "runtime/worker.h"

void worker_deferred_fini(struct worker *worker);

/* Whether so many are open that no further record may be taken. */
bool worker_deferred_is_full(const struct worker *worker);

/* Whether the record in hand was deferred by the handler that says so. */
bool worker_deferred_confirm(struct worker *worker);
/* The handlers have spoken, `worst` without the one that deferred: keeps what they did. */
void worker_deferred_hold(struct worker *worker, const struct chunk_slot *slot,
                          strid_outcome worst);
/* Behind a chunk or a step of retries: tokens that no handler stood by are withdrawn. */
void worker_deferred_withdraw(struct worker *worker);

/* Settles what was completed and what timed out, a bounded number; returns how many. Sets
 * context.failed where one could not be settled. */
int worker_deferred_step(struct worker *worker);

/* For worker_retry.c, with the record in hand once more: its write set takes effect or not. */
void worker_deferred_settle(struct worker *worker, struct chunk_slot *slot,
                            const struct worker_found *found, struct worker_deferral *deferral);

#endif
