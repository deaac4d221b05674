/* Folding blocks: many blocks in, each key once with its newest value out, in key order. Used to
 * materialise, to recover and to read a stopped node. One thread. */
#ifndef STATE_FOLD_H
#define STATE_FOLD_H

#include "state/block.h"
#include "state/store.h"

struct fold;

/* Newest progress of one worker of one run in one partition. */
struct fold_progress {
    uint64_t run;
    uint32_t worker;
    uint32_t partition;
    strid_position position;
};

struct fold *fold_create(void);
void fold_destroy(struct fold *fold);
void fold_clear(struct fold *fold); /* keeps its memory for the next use */

/* Adds a block; blocks come in ascending order of their numbers. The bytes are copied. false: not a
 * block. */
bool fold_add(struct fold *fold, strid_bytes block, struct block_view *view);

/* Ends adding; fold_next() then gives the entries in key order, from the first, as operations of
 * the store. */
void fold_sort(struct fold *fold);
bool fold_next(void *fold, struct store_op *op); /* a store_next_fn */
/* What has expired by then comes as a deletion; 0 (the default): nothing does. */
void fold_set_now(struct fold *fold, int64_t now_ms);

/* The newest value of a key (kind STRID_STATE_ABSENT: deleted), which holds until the next call;
 * false: not in these blocks. */
bool fold_get(struct fold *fold, const struct key_state *key, struct key_value *value);

uint32_t fold_progress_count(const struct fold *fold);
const struct fold_progress *fold_progress_at(const struct fold *fold, uint32_t index);
uint64_t fold_count(const struct fold *fold); /* different keys; after fold_sort() */

#endif
