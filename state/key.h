/* Keys of the state directory and values of state entries: how they are laid out in the store.
 *
 *   m <name>                            meta: values made by directory.c
 *   w <number: 8 bytes, big-endian>     blocks
 *   p 1 <partition: 4>                  progress table: highest applied position per vshard
 *   p 2 <partition: 4> <worker: 4>      progress of the current run that left the blocks
 *   s <vshard> <store> <hash: 3> <key length: 2> <key> <subkey>
 *                                       vshard and hash are the upper 32 bits of the key's hash:
 * the order of state is the order of hashes, which sorts by radix, whatever keys look like. The
 * subkeys of a key are one range, in their own byte order, behind the key's plain entry, which has
 * none.
 *
 * Integers in keys are big-endian, so that byte order is number order. @thread any */
#ifndef STATE_KEY_H
#define STATE_KEY_H

#include <strid/state.h>

#include "base/buffer.h"

enum {
    KEY_VSHARDS = 256,
    KEY_RECORD_KEY_MAX = 60 * 1024, /* with a value it fits the largest cell of a cache */
    KEY_SUBKEY_MAX = STRID_SUBKEY_MAX,
    KEY_STATE_HEADER = 8,
    KEY_STATE_MAX = KEY_STATE_HEADER + KEY_RECORD_KEY_MAX + KEY_SUBKEY_MAX,
    KEY_STORE_KEYLESS = 0x80, /* set in `store`: the key is the partition's own, not a record's */
    KEY_STORE_ENGINE =
        0x70, /* numbers from here to 0x7f: stores that the engine keeps for itself */
    KEY_STORE_MAX = 0x7f,
    /* Of a block. Before all other kinds: a memtable that is flushed with blocks in it gives a file
     * in which state would be looked for among them, and each look would read a whole block. */
    KEY_BLOCK = 'b',
    KEY_FIXED_MAX = 16,
    KEY_KIND_EXPIRES = 0x80, /* set in a stored kind: 8 bytes of expiry follow */
    KEY_KIND_SUBKEY = 0x40   /* set in the kind of a block's entry: 2 bytes of `sub_len` follow */
};

/* Which entry of state: a record key in a store, with or without a subkey. */
struct key_state {
    uint32_t hash;    /* upper half of the record key's hash; its upper 8 bits are the vshard */
    uint16_t sub_len; /* how many of the last bytes of `key` are the subkey; 0: there is none */
    uint8_t store;
    strid_bytes key; /* the record key, then the subkey */
};

static inline strid_bytes key_record_of(const struct key_state *key)
{
    return strid_bytes_of(key->key.data, key->key.len - key->sub_len);
}

static inline strid_bytes key_subkey_of(const struct key_state *key)
{
    return strid_bytes_of(key->key.data + (key->key.len - key->sub_len), key->sub_len);
}

/* -1, 0 or 1: the order of entries in the store, of the same vshard, store and hash. */
int key_compare_names(const struct key_state *a, const struct key_state *b);
/* Whether the lengths are allowed. */
static inline bool key_is_sound(const struct key_state *key)
{
    return key->sub_len <= KEY_SUBKEY_MAX && key->key.len >= key->sub_len &&
           key->key.len - key->sub_len <= KEY_RECORD_KEY_MAX;
}

/* What an entry holds. */
struct key_value {
    strid_state_kind kind; /* STRID_STATE_ABSENT: deleted */
    strid_bytes bytes;     /* of an integer or double: its 8 bytes in host order */
    int64_t expiry_ms;     /* gone from then on, milliseconds since 1970; 0: never */
};

static inline bool key_is_expired(int64_t expiry_ms, int64_t now_ms)
{
    return expiry_ms != 0 && expiry_ms <= now_ms;
}

/* Writes at most KEY_FIXED_MAX bytes, returns how many. */
size_t key_put_block(uint8_t *out, uint64_t number);
size_t key_put_table(uint8_t *out, uint32_t partition);
size_t key_put_run_progress(uint8_t *out, uint32_t partition, uint32_t worker);
uint64_t key_get_u64(const uint8_t *at); /* big-endian */
uint32_t key_get_u32(const uint8_t *at);

/* Writes at most KEY_STATE_HEADER + key.key.len bytes. */
size_t key_put_state(uint8_t *out, const struct key_state *key);
bool key_get_state(strid_bytes encoded, struct key_state *key); /* false: no key of state */

/* A state value in the store: kind, expiry where there is one, payload, CRC-32C of all. */
void key_put_value(struct buffer *out, const struct key_value *value);
bool key_get_value(strid_bytes encoded, struct key_value *value); /* false: damaged */

#endif
