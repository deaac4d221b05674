/* Where state lives while it is hot: one cache per worker, open addressing over entries in slabs,
 * bounded bytes.
 *
 * An entry is a key of a store with its value, or the knowledge that it has none. `block` is the
 * sequence of the worker's last block that contains it; the entry is clean, and may be evicted, iff
 * it is not dirty and `block` is at or below what is materialised, since only then the store holds
 * it.
 *
 * index: u64 slots { tag: hash mixed with the store | cell + 1 }, linear probing, backward-shift
 * deletion entry: header 32 bytes | key | value (in place, or a pointer where the value is large)
 * An entry with a subkey has it behind the key, and behind that its length in 2 bytes; the tag is
 * mixed with it, and a second index has these entries in order.
 *
 * Eviction is CLOCK (Corbató 1968) per size class. One thread: the worker that owns the vshards. */
#ifndef STATE_CACHE_H
#define STATE_CACHE_H

#include "state/block.h"
#include "state/slab.h"
#include "state/sub_index.h"

enum {
    CACHE_KIND = 3, /* mask: strid_state_kind */
    CACHE_REFERENCED = 4,
    CACHE_DIRTY = 8,
    CACHE_OUTSIDE = 16, /* the value lies outside of the slab */
    CACHE_PINNED = 32,  /* a handler holds a view of it */
    CACHE_SUBKEY = 64,  /* of a subkey */
    CACHE_SUBKEY_LEN = 2,
    CACHE_STAGED_MAX = 16
};

struct cache_entry {
    uint32_t hash; /* upper half of the record key's hash; its upper 8 bits are the vshard */
    uint32_t value_len;
    uint64_t block;
    int64_t expiry_ms; /* as in struct key_value: from then on as if it were ABSENT */
    uint32_t dirty_at; /* place in the dirty list, while dirty */
    uint16_t key_len;  /* of all that comes before the value */
    uint8_t store;
    uint8_t flags;
    uint8_t bytes[]; /* key [subkey, its length], value */
};
_Static_assert(offsetof(struct cache_entry, flags) == offsetof(struct cache_entry, store) + 1,
               "both are compared at once");
_Static_assert(sizeof(struct cache_entry) == 32,
               "16-byte keys with 8-byte values fit one cache line");

/* Which key of which store; `hash` is the upper half of the record key's 64-bit hash, `sub_len` as
 * in struct key_state. */
struct cache_key {
    strid_bytes key;
    uint32_t hash;
    uint8_t store;
    uint16_t sub_len;
};

struct cache {
    uint64_t *slots;
    size_t slot_count;
    unsigned shift;
    size_t entry_count;
    struct slab slab;
    struct sub_index subs;  /* the entries with a subkey, in order */
    uint64_t outside_bytes; /* of values outside of the slab */
    uint64_t bytes_max;
    uint32_t *dirty; /* cells of entries that changed since the last block */
    uint32_t dirty_count, dirty_capacity;
    uint64_t dirty_bytes;                /* about what they take in a block now */
    uint64_t complete[KEY_VSHARDS / 64]; /* bit of a vshard: what is not here is not in the store */
    size_t expire_at;                    /* slot that cache_expire() looks at next */
    uint32_t staged[CACHE_STAGED_MAX];   /* cells that wait for their place in the index; a ring */
    uint32_t staged_first, staged_count;
    uint32_t *gone; /* cells that cache_forget() looks at, in the order of their blocks */
    uint32_t gone_first, gone_end, gone_capacity;
    uint64_t evictions;
    uint64_t moves; /* entries that left their place: pointers to entries hold while it stays */
};

void cache_init(struct cache *cache, uint64_t bytes_max, bool complete);
void cache_fini(struct cache *cache);

/* NULL: not here. cache_find(), for keys without a subkey, is below. */
struct cache_entry *cache_find_sub(struct cache *cache, const struct cache_key *key); /* any key */

/* Adds a clean entry that is not here: what the store holds, or (kind ABSENT) that it holds
 * nothing. */
struct cache_entry *cache_add(struct cache *cache, const struct cache_key *key,
                              const struct key_value *value);
/* For loading many: the same, unless the key is here, whose value then is the newer one. The entry
 * is not found before cache_stage_end(), since its place in the index is fetched meanwhile. */
void cache_stage(struct cache *cache, const struct cache_key *key, const struct key_value *value);
void cache_stage_end(struct cache *cache);
/* Makes the index large enough for so many entries at once, rather than by doubling it again and
 * again. */
void cache_expect(struct cache *cache, uint64_t entries);
/* Gives an entry a new value and makes it dirty; the entry may move. */
struct cache_entry *cache_put(struct cache *cache, struct cache_entry *entry,
                              const struct key_value *value);

/* Puts it on the list of those that changed since the last block, where it is not. */
void cache_list_dirty(struct cache *cache, struct cache_entry *entry);

/* The same as cache_put() for any key, here or not. */
struct cache_entry *cache_set(struct cache *cache, const struct cache_key *key,
                              const struct key_value *value);

/* Packs every dirty entry into the block and calls it clean as of `sequence`; returns how many. */
uint32_t cache_pack(struct cache *cache, struct buffer *block, uint64_t sequence);

/* Evicts until there is room for about `entries` more of each size in use. `materialised`: sequence
 * of the worker's last block that is in the store. false: too much is not yet materialised. */
bool cache_make_room(struct cache *cache, uint32_t entries, uint64_t materialised);

/* cache_forget.c: deleted entries of the engine's own stores (waiting records, letters), which
 * nobody asks for again, go from here as soon as the store knows of their deletion: those of blocks
 * up to `materialised`, a bounded number. Keys of a vshard that is complete stay known to be
 * absent. */
void cache_forget(struct cache *cache, uint64_t materialised);
/* An entry was packed into a block as deleted. */
void cache_note_gone(struct cache *cache, const struct cache_entry *entry);
/* Takes an entry away; the others stay where they are. */
void cache_take_out(struct cache *cache, struct cache_entry *entry);

/* cache_expire.c: looks at the next `slots` of the index, round and round, and deletes entries
 * whose time to live is over (which makes them dirty); returns how many. Values that an entry had
 * are no longer valid.
 */
uint32_t cache_expire(struct cache *cache, int64_t now_ms, uint32_t slots);

/* Whether a key of that hash, if it is not here, is nowhere. */
static inline bool cache_is_complete(const struct cache *cache, uint32_t hash)
{
    return (cache->complete[hash >> 30] >> (hash >> 24 & 63) & 1) != 0;
}
/* Memory that it holds, used or not. */
static inline uint64_t cache_held_bytes(const struct cache *cache)
{
    return (uint64_t)cache->slab.pages_used * SLAB_CELL_MAX + cache->outside_bytes +
           cache->subs.bytes + cache->slot_count * sizeof(uint64_t) +
           cache->gone_capacity * sizeof(uint32_t);
}
uint64_t cache_used_bytes(const struct cache *cache); /* of entries and their share of the index */
static inline void cache_set_complete(struct cache *cache, uint32_t vshard)
{
    cache->complete[vshard / 64] |= UINT64_C(1) << (vshard & 63);
}

static inline uint16_t cache_sub_len(const struct cache_entry *entry)
{
    uint16_t len = 0;
    if (__builtin_expect((entry->flags & CACHE_SUBKEY) != 0, 0))
        memcpy(&len, entry->bytes + entry->key_len - CACHE_SUBKEY_LEN, sizeof len);
    return len;
}

/* Points into the entry. */
static inline struct key_state cache_key_of(const struct cache_entry *entry)
{
    uint16_t sub_len = cache_sub_len(entry);
    return (struct key_state){
        .hash = entry->hash,
        .sub_len = sub_len,
        .store = entry->store,
        .key = strid_bytes_of(entry->bytes, (size_t)entry->key_len -
                                                (sub_len != 0 ? (size_t)CACHE_SUBKEY_LEN : 0))};
}

static inline struct cache_key cache_key_from(const struct key_state *key)
{
    return (struct cache_key){
        .key = key->key, .hash = key->hash, .store = key->store, .sub_len = key->sub_len};
}

static inline strid_state_kind cache_kind(const struct cache_entry *entry)
{
    return (strid_state_kind)(entry->flags & CACHE_KIND);
}

static inline const uint8_t *cache_value(const struct cache_entry *entry)
{
    const uint8_t *at = entry->bytes + entry->key_len;
    if (__builtin_expect((entry->flags & CACHE_OUTSIDE) == 0, 1))
        return at;
    const uint8_t *outside;
    memcpy(&outside, at, sizeof outside);
    return outside;
}

/* What follows runs once per record, so it is here, where it becomes part of its callers. */

static inline uint32_t cache_tag(uint32_t hash, uint8_t store)
{
    return hash ^ (uint32_t)store * UINT32_C(0x9e3779b1);
}

static inline size_t cache_home(const struct cache *cache, uint32_t tag)
{
    return (size_t)((uint64_t)tag * UINT64_C(0x9e3779b97f4a7c15) >> cache->shift);
}

/* Keys of 8 to 16 bytes, which most are, by two words that may overlap: no call, no branch per
 * byte. */
static inline bool cache_same_bytes(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (__builtin_expect(len >= 8 && len <= 16, 1)) {
        uint64_t a_head, a_tail, b_head, b_tail;
        memcpy(&a_head, a, 8);
        memcpy(&b_head, b, 8);
        memcpy(&a_tail, a + len - 8, 8);
        memcpy(&b_tail, b + len - 8, 8);
        return ((a_head ^ b_head) | (a_tail ^ b_tail)) == 0;
    }
    return len == 0 || memcmp(a, b, len) == 0;
}

static inline bool cache_is_key(const struct cache_entry *entry, const struct cache_key *key)
{
    /* Store and flags in one comparison: an entry with a subkey is none of the keys asked for. */
    uint16_t store;
    memcpy(&store, &entry->store, sizeof store);
    return entry->hash == key->hash && (store & (UINT8_MAX | CACHE_SUBKEY << 8)) == key->store &&
           entry->key_len == key->key.len &&
           cache_same_bytes(entry->bytes, key->key.data, key->key.len);
}

/* A key without a subkey; NULL: not here. */
static inline struct cache_entry *cache_find(struct cache *cache, const struct cache_key *key)
{
    uint32_t tag = cache_tag(key->hash, key->store);
    size_t mask = cache->slot_count - 1;
    uint64_t slot;
    for (size_t at = cache_home(cache, tag); (slot = cache->slots[at]) != 0; at = (at + 1) & mask) {
        if (slot >> 32 != tag)
            continue;
        struct cache_entry *entry = slab_at(&cache->slab, (uint32_t)slot - 1);
        if (cache_is_key(entry, key)) {
            entry->flags |= CACHE_REFERENCED;
            return entry;
        }
    }
    return NULL;
}

/* First the index, then, when that has arrived, the entry: some records ahead of cache_find(). */
static inline void cache_prefetch_slot(const struct cache *cache, uint32_t hash, uint8_t store)
{
    __builtin_prefetch(&cache->slots[cache_home(cache, cache_tag(hash, store))]);
}

static inline void cache_prefetch_entry(const struct cache *cache, uint32_t hash, uint8_t store)
{
    uint32_t tag = cache_tag(hash, store);
    size_t mask = cache->slot_count - 1;
    uint64_t slot;
    /* A third of the entries lie behind their home, nearly always in the same line. */
    for (size_t at = cache_home(cache, tag); (slot = cache->slots[at]) != 0; at = (at + 1) & mask)
        if (slot >> 32 == tag) {
            __builtin_prefetch(slab_at(&cache->slab, (uint32_t)slot - 1), 1);
            return;
        }
}

/* What cache_put() does, for a number where there is a number (or as many bytes) already; false:
 * there is not, and nothing was done. The entry does not move. */
static inline bool cache_put_number(struct cache *cache, struct cache_entry *entry,
                                    strid_state_kind kind, uint64_t number, int64_t expiry_ms)
{
    if (__builtin_expect(entry->value_len != sizeof number, 0))
        return false;
    memcpy(entry->bytes + entry->key_len, &number, sizeof number);
    entry->expiry_ms = expiry_ms;
    uint8_t flags = (uint8_t)((entry->flags & ~CACHE_KIND) | (uint8_t)kind);
    entry->flags = flags;
    if ((flags & CACHE_DIRTY) == 0)
        cache_list_dirty(cache, entry);
    return true;
}

#endif
