/* In which vshards keys wait: one entry of a store of the engine for each of them, so that the
 * start of a run looks for waiting keys there and nowhere else. An iterator over state that holds
 * large values takes one of them from each file of level 0 into memory, wherever it looks.
 *
 * A mark is put, or deleted, in the block that holds the first head of its vshard, or the deletion
 * of the last one: what begins and ends within one block leaves no trace. Directories that
 * were made with format 2 have no marks, and never get them; there the start looks everywhere.
 *
 * @thread the worker, in its do_work @locks none */
#ifndef RUNTIME_WORKER_RETRY_MARK_H
#define RUNTIME_WORKER_RETRY_MARK_H

#include "runtime/worker_store.h"

enum { WORKER_RETRY_MARK_STORE = KEY_STORE_ENGINE + 5 };

/* Every entry of a store that has some only where keys wait, in the worker's vshards: heads, and
 * positions of what waits. Before its first record. false: the store failed. */
bool worker_retry_mark_each(struct worker *worker, uint8_t store, worker_store_each_fn fn,
                            void *user);

/* Brings the marks to what waits now: when a block is sealed, before it is packed. */
void worker_retry_mark_seal(struct worker *worker);

#endif
