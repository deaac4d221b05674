/* Positions of records that wait or are parked, of a source without order: one entry of a store of
 * the engine for each, so that the next run knows a copy of such a record without reading what
 * waits, which may be large. An entry lies in the vshard in which the record waits, which is marked
 * (runtime/worker_retry_mark.h), is put in the block that holds the record, and goes in the block
 * that no longer does.
 *
 *   key    number of the partition in the directory, position, big-endian
 *   value  vshard of the record's key
 *
 * @thread the worker, in its do_work @locks none */
#ifndef RUNTIME_WORKER_APPLIED_WAITING_H
#define RUNTIME_WORKER_APPLIED_WAITING_H

#include "runtime/worker.h"

enum { WORKER_APPLIED_WAITING_STORE = KEY_STORE_ENGINE + 6 };

/* Whether the source has no order: else the functions below are not called. */
static inline bool worker_applied_waiting_is_used(const struct worker *worker)
{
    return worker->run->acknowledger != NULL;
}

/* A copy of the record goes into the block that is about to be packed. `hash`: the upper half of
 * that under which it waits; `partition`: its number in the directory. */
void worker_applied_waiting_put(struct worker *worker, uint32_t hash, uint32_t partition,
                                strid_position position);
void worker_applied_waiting_delete(struct worker *worker, uint32_t hash, uint32_t partition,
                                   strid_position position);

/* Makes known what an earlier run left. Before the worker's first record. false: the store failed,
 * or *damaged. */
bool worker_applied_waiting_load(struct worker *worker, bool *damaged);

#endif
