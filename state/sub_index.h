/* The entries of a cache that have a subkey, in the order of the store: what a scan over the
 * subkeys of one key walks beside the store. A skip list of cells (Pugh 1990); keys are read from
 * the entries themselves. Levels come from a generator with a fixed seed. One thread: the cache's.
 */
#ifndef STATE_SUB_INDEX_H
#define STATE_SUB_INDEX_H

#include "state/key.h"
#include "state/slab.h"

enum { SUB_INDEX_LEVELS = 16 };

struct sub_node {
    uint32_t cell; /* of the entry */
    uint32_t levels;
    struct sub_node *next[]; /* `levels` of them */
};

struct sub_index {
    struct sub_node *first[SUB_INDEX_LEVELS];
    uint64_t random;
    uint64_t bytes; /* of nodes */
};

void sub_index_fini(struct sub_index *index);

/* The entry of a cell, which is not in the index. */
void sub_index_add(struct sub_index *index, const struct slab *slab, uint32_t cell);
void sub_index_remove(struct sub_index *index, const struct slab *slab, uint32_t cell);
/* The entry of `from` is now that of `to`; both cells still hold its key. */
void sub_index_move(struct sub_index *index, const struct slab *slab, uint32_t from, uint32_t to);

/* The first whose key is not below `key`; NULL: none. Nodes live until their entry is removed. */
const struct sub_node *sub_index_seek(const struct sub_index *index, const struct slab *slab,
                                      const struct key_state *key);

#endif
