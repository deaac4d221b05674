/* Waiting records in the stores, and on their way there: what changed since the last block was
 * sealed is in memory alone (waiting_change.h), and is put when the block is.
 *
 * @thread the worker, in its do_work @locks none */
#ifndef RUNTIME_WORKER_RETRY_STORE_H
#define RUNTIME_WORKER_RETRY_STORE_H

#include "runtime/worker_store.h"

/* The head of the key changed, or is new. */
void worker_retry_store_note(struct worker *worker, struct waiting_key *key);
/* So is its last record, which is in retry.bytes. */
void worker_retry_store_add(struct worker *worker, struct waiting_key *key, uint64_t seq);

/* The first record of the key, until it is settled; absent: there is none where it should be.
 * false: the store failed. */
bool worker_retry_store_first(struct worker *worker, const struct waiting_key *key,
                              strid_bytes *record);
/* Before waiting_advance(): that record, of `partition` by its number, is done with, and where it
 * is the last one, so is the key. */
void worker_retry_store_settle(struct worker *worker, struct waiting_key *key, uint32_t partition,
                               strid_position position);

/* How many entries of the cache that may take: the copy, the head, and the position. */
uint32_t worker_retry_store_entries(const struct worker *worker);

/* Into the open block: before it is packed. */
void worker_retry_store_seal(struct worker *worker);

#endif
