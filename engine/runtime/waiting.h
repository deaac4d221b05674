/* The keys of one worker that have a record waiting for its next attempt: a hash table to ask by,
 * and a heap by due time. Only heads are here, never payloads, so that millions of keys fit. Keys
 * that are due at the same time come in the order in which they were scheduled.
 * @thread worker (the owner) @locks none */
#ifndef RUNTIME_WAITING_H
#define RUNTIME_WAITING_H

#include "base/spares.h"
#include "runtime/retry_record.h"
#include "state/key.h"

enum { WAITING_FILTER = 4096 };

/* Owned by the table; does not move until it is removed. Change `head` freely, but its due time
 * only by waiting_schedule and its sequences and bytes only by waiting_park and waiting_advance. */
struct waiting_key {
    struct retry_head head;
    uint64_t hash;
    uint64_t order; /* of scheduling */
    size_t heap_at; /* where the heap holds it */
    size_t key_len;
    bool open;           /* its first record waits for its outcome: not due until scheduled */
    bool stored;         /* a block has its head, or the store */
    uint32_t changed_at; /* place + 1 in the list of waiting_change.h; 0: it is not there */
    uint8_t key[];
};

struct waiting {
    struct waiting_key **slots; /* linear probing; a power of two, at most three quarters full */
    struct waiting_key **heap;
    size_t slot_count, heap_capacity;
    size_t count;     /* keys; 0: what the worker asks for each record */
    uint64_t records; /* waiting and parked, over all keys */
    uint64_t bytes;   /* of them */
    uint64_t order;
    uint64_t key_bytes;                 /* of the keys themselves */
    uint32_t vshard_keys[KEY_VSHARDS];  /* keys of each; the vshard is the upper byte of the hash */
    uint64_t vshards[KEY_VSHARDS / 64]; /* bit of a vshard: there are some */
    /* Which hashes there are, by some of their bits: asked for each record, so small enough to stay
     * in the first cache beside what a record needs. */
    uint64_t filter[WAITING_FILTER / 64];
    /* Of how many keys; UINT8_MAX: so many or more, until none waits. */
    uint8_t filter_keys[WAITING_FILTER];
    struct spares spares; /* keys that no longer wait */
};

/* Not by the first bits, which say whose the key is. */
static inline size_t waiting_filter_of(uint64_t hash)
{
    return (size_t)(hash >> 40) % WAITING_FILTER;
}

/* Whether a key of that hash may be there: for each record, before the search. */
static inline bool waiting_may_have(const struct waiting *waiting, uint64_t hash)
{
    size_t at = waiting_filter_of(hash);
    return (waiting->filter[at / 64] >> (at & 63) & 1) != 0;
}

void waiting_fini(struct waiting *waiting); /* a zeroed struct is an empty table */

/* NULL: nothing waits under that key. `flags`: RETRY_HEAD_KEYLESS, RETRY_HEAD_ALONE. */
struct waiting_key *waiting_find(const struct waiting *waiting, uint64_t hash, uint8_t flags,
                                 strid_bytes key);
/* Adds a key that is not there; the bytes of the key are copied. */
struct waiting_key *waiting_add(struct waiting *waiting, uint64_t hash, strid_bytes key,
                                const struct retry_head *head);
void waiting_schedule(struct waiting *waiting, struct waiting_key *key, int64_t due_ms);

/* No key but those that are open is due later than that. Takes its time with all of them. */
void waiting_limit(struct waiting *waiting, int64_t latest_ms);

/* One more record, of `bytes`, behind those of the key; returns its sequence. */
uint64_t waiting_park(struct waiting *waiting, struct waiting_key *key, size_t bytes);

/* The first record of the key, of `bytes`, is settled. True: another one has become the first, to
 * be scheduled; false: none is left, and the key was removed. */
bool waiting_advance(struct waiting *waiting, struct waiting_key *key, size_t bytes);

/* The key whose time has come first; NULL: none is due at `now_ms`. It stays until scheduled anew
 * or advanced. */
struct waiting_key *waiting_due(const struct waiting *waiting, int64_t now_ms);

/* Memory that the table takes. */
uint64_t waiting_memory(const struct waiting *waiting);

/* When the next one is due, INT64_MAX: nothing waits. */
int64_t waiting_next_ms(const struct waiting *waiting);

#endif
