/* Entries of state that the engine itself keeps: retries, parked records, the outbox. They lie in
 * stores numbered KEY_STORE_ENGINE to KEY_STORE_MAX, under the hash of a record key, so that the
 * worker that owns the key's vshard owns them. Handlers do not reach them, and tools neither list
 * nor count them unless they are asked for by "engine:NUMBER".
 *
 * What is put here goes into the worker's cache at once, outside of any write set, and so into the
 * worker's next block: together with the progress of the chunk in hand, or, between two chunks, in
 * a block of its own, which is sealed by interval as others are. Nothing waits, nothing fails: a
 * put needs no room, the worker makes it between two chunks.
 *
 * All functions: @thread the worker that owns the key's vshard, in its do_work. A read that fails
 * has called run_fail(): the caller returns, and nothing of the record in hand may count. */
#ifndef RUNTIME_WORKER_STORE_H
#define RUNTIME_WORKER_STORE_H

#include "runtime/worker.h"

/* `subkey` empty: the key's plain entry; else at most KEY_SUBKEY_MAX bytes. `store` may have
 * KEY_STORE_KEYLESS: the key is that of a partition. `hash` is the upper half of the key's hash. */
struct worker_store_key {
    uint8_t store;
    uint32_t hash;
    strid_bytes key;
    strid_bytes subkey;
};

/* What an entry holds, kind STRID_STATE_ABSENT where there is none; lives until the next call of
 * any of these functions. false: the store failed. */
bool worker_store_get(struct worker *worker, const struct worker_store_key *key,
                      struct key_value *value);

/* The bytes are copied. Kind STRID_STATE_ABSENT deletes, as worker_store_delete() does. Neither may
 * be called within a scan. */
void worker_store_put(struct worker *worker, const struct worker_store_key *key,
                      const struct key_value *value);
void worker_store_delete(struct worker *worker, const struct worker_store_key *key);
/* The open block has changes that no chunk made; they may be large. */
void worker_store_changed(struct worker *worker);

/* The subkeys from <= subkey < to of one key (`to` absent: to the end), ascending; `key->subkey` is
 * not looked at. false: the store failed. */
bool worker_store_scan(struct worker *worker, const struct worker_store_key *key, strid_bytes from,
                       strid_bytes to, strid_state_scan_fn fn, void *user);

/* Returns false to end the walk; what it is given lives until it returns. */
typedef bool (*worker_store_each_fn)(void *user, const struct key_state *key,
                                     const struct key_value *value);

/* Every entry of a store, keyless ones included, in the vshards of this worker, each once, plain or
 * of a subkey, in no order: for the start of a run, at the worker's first do_work. It looks through
 * the whole cache. false: the store failed. */
bool worker_store_each(struct worker *worker, uint8_t store, worker_store_each_fn fn, void *user);

/* Adds to the number of entries that a store has in the vshard of `hash`, so that the start of a
 * run need not look through the others: one entry without key and subkey for each vshard. */
void worker_store_count(struct worker *worker, uint8_t store, uint32_t hash, int64_t more);

/* The same kind of entry in a store of its own, which says of a vshard no more than that. */
struct key_state worker_store_mark_key(uint8_t store, uint32_t vshard);
void worker_store_mark(struct worker *worker, uint8_t store, uint32_t vshard, bool marked);

/* Which vshards of this worker have such an entry, one bit each, by one batch of reads. false: the
 * store failed. */
bool worker_store_marked(struct worker *worker, uint8_t store, uint64_t vshards[KEY_VSHARDS / 64]);

/* As worker_store_each(), in these vshards alone. */
bool worker_store_each_of(struct worker *worker, uint8_t store, const uint64_t *vshards,
                          worker_store_each_fn fn, void *user);

/* As worker_store_each(), of a store whose entries are counted; the counts come, too, without a
 * subkey. */
bool worker_store_each_counted(struct worker *worker, uint8_t store, worker_store_each_fn fn,
                               void *user);

/* The entry in the cache, brought there where it is not; NULL in *entry: there is none, and the
 * cache need not say so. Fails without run_fail(). For this header's functions and contexts. */
strid_status worker_store_find(struct worker *worker, const struct worker_store_key *key,
                               struct cache_entry **entry, strid_error *err);

#endif
