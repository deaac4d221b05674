/* A block: what a worker makes durable in one atomic write. Absolute values and deletions of the
 * keys that changed since its last block, and its progress per partition.
 *
 *   header (BLOCK_HEADER bytes)  magic, format, run, worker, sequence of the worker, counts, length
 * and CRC of the body; number and highest number known synced, which storage fills in; CRC of the
 * header progress                     partition u32, position 2 x u64 state kind u8 (0: deletion;
 * 0x80 set: expires; 0x40 set: subkey; integers: how many
 * bytes, all zero, were left out at their end, times 4), store u8, hash u32, [expires: milliseconds
 * u64], [subkey: its length u16], length varint of key and subkey, key, subkey, [bytes: length
 * varint] value
 *
 * Integers are little-endian. A block is packed by one worker, then numbered by storage; a packed
 * block is constant. */
#ifndef STATE_BLOCK_H
#define STATE_BLOCK_H

#include <strid/error.h>
#include <strid/record.h>

#include "state/key.h"

enum { BLOCK_HEADER = 80, BLOCK_ENTRY_MIN = 7, BLOCK_NUMBER = 8 };

struct block_progress {
    uint32_t partition;
    strid_position position;
};

/* What is read of a block; points into its bytes. */
struct block_view {
    uint64_t number;
    uint64_t synced; /* highest number known to be synced when it was written */
    uint64_t run;
    uint64_t sequence; /* of the worker, from 1 in each run */
    uint32_t worker;
    uint32_t progress_count;
    uint32_t state_count;
    struct cursor progress;
    struct cursor state;
    uint8_t number_bytes[BLOCK_NUMBER]; /* of the entry that block_next_state gave last */
};

/* Packing. @thread worker */
void block_begin(struct buffer *block);
void block_put_progress(struct buffer *block, const struct block_progress *progress);
void block_put_state(struct buffer *block, const struct key_state *key,
                     const struct key_value *value);
void block_end(struct buffer *block, uint64_t run, uint32_t worker, uint64_t sequence,
               uint32_t progress_count, uint32_t state_count);

/* Numbering. @thread storage */
void block_number(struct buffer *block, uint64_t number, uint64_t synced);

/* Reading. false: not a whole, undamaged block. @thread any */
bool block_open(strid_bytes bytes, struct block_view *view);
bool block_next_progress(struct block_view *view, struct block_progress *out);
/* Key and value hold until the next call. */
bool block_next_state(struct block_view *view, struct key_state *key, struct key_value *value);
/* The entry at the cursor, which moves behind it; what block_next_state does. An integer that was
 * shortened is put together in `number`. */
bool block_read_state(struct cursor *at, struct key_state *key, struct key_value *value,
                      uint8_t number[BLOCK_NUMBER]);
/* Whether two entries, which were read before, are of the same key; their stores and hashes are
 * known to be equal. */
bool block_same_key(const uint8_t *a, const uint8_t *b);

#endif
