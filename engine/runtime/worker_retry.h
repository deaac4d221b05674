/* Records that wait for their next attempt, and those that are parked behind them: durable, in two
 * stores of the engine, and in memory only as the heads of waiting keys.
 *
 *   RETRY       subkey = sequence: a copy of the record, written once
 *   RETRY_HEAD  of a key: which sequences there are, failed attempts of the first, when it is due
 *
 * Entries travel in the block that moves progress past their records, so that a record is in that
 * block or still to be read, never both, never neither. What is settled is deleted in the block
 * that holds its effects. docs/internals/retry.md.
 *
 * @thread the worker, in its do_work @locks none */
#ifndef RUNTIME_WORKER_RETRY_H
#define RUNTIME_WORKER_RETRY_H

#include "runtime/worker.h"

enum { WORKER_RETRY_STORE = KEY_STORE_ENGINE, WORKER_RETRY_HEAD_STORE = KEY_STORE_ENGINE + 1 };

void worker_retry_init(struct worker *worker);
void worker_retry_fini(struct worker *worker);

/* Finds what earlier runs left waiting in the worker's vshards: heads only. Before the first
 * record. false: the run failed. */
bool worker_retry_load(struct worker *worker);

/* Whether the record, of a chunk, has to wait behind others; then it does, and is done with for
 * now. Called only while something waits. */
bool worker_retry_park(struct worker *worker, const struct chunk_slot *slot);

/* The attempt in hand failed (context.attempt counts it), and another one follows after a pause. */
void worker_retry_wait(struct worker *worker, const struct chunk_slot *slot);

/* The record in hand waits for its outcome: under the name that is returned, with the attempts that
 * context.attempt counts, and never due; in the stores it is due at once. */
struct waiting_key *worker_retry_hold(struct worker *worker, const struct chunk_slot *slot);
/* Its outcome is there: it is settled, and those behind it follow. */
void worker_retry_finish(struct worker *worker, struct waiting_key *key,
                         struct worker_deferral *deferral);

/* worker_retry_slot.c: the record into retry.slot, as it was in its chunk. false: the run failed.
 */
bool worker_retry_fill_slot(struct worker *worker, const struct retry_record *record,
                            const struct waiting_key *key);

/* Tells readers, committer and figures what waits now: behind the records of a step. */
void worker_retry_tell(struct worker *worker);

/* Handles records whose time has come, a bounded number; returns how many. Sets context.failed
 * where one could not be settled. */
int worker_retry_step(struct worker *worker);

/* When the first failure of the record in hand was; 0: this one is. */
static inline int64_t worker_retry_first_ms(const struct worker *worker)
{
    return worker->retry.key == NULL ? 0 : worker->retry.key->head.first_ms;
}

#endif
