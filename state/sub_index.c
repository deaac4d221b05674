#include "state/sub_index.h"

#include "base/assert.h"
#include "base/memory.h"
#include "state/cache.h"

static const uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

static size_t node_bytes(uint32_t levels)
{
    return sizeof(struct sub_node) + levels * sizeof(struct sub_node *);
}

void sub_index_fini(struct sub_index *index)
{
    for (struct sub_node *node = index->first[0]; node != NULL;) {
        struct sub_node *next = node->next[0];
        memory_free(node);
        node = next;
    }
    *index = (struct sub_index){0};
}

static int compare(const struct key_state *a, const struct key_state *b)
{
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    if (a->store != b->store)
        return a->store < b->store ? -1 : 1;
    return key_compare_names(a, b);
}

static bool is_below(const struct slab *slab, const struct sub_node *node,
                     const struct key_state *key)
{
    struct key_state of = cache_key_of(slab_at(slab, node->cell));
    return compare(&of, key) < 0;
}

/* The first node not below the key; before[level]: the link that leads over it. */
static struct sub_node *locate(struct sub_index *index, const struct slab *slab,
                               const struct key_state *key,
                               struct sub_node **before[SUB_INDEX_LEVELS])
{
    struct sub_node **links = index->first;
    for (uint32_t level = SUB_INDEX_LEVELS; level-- > 0;) {
        while (links[level] != NULL && is_below(slab, links[level], key))
            links = links[level]->next;
        before[level] = &links[level];
    }
    return *before[0];
}

/* xorshift64: one node in four rises a level. */
static uint32_t random_levels(struct sub_index *index)
{
    uint64_t random = index->random == 0 ? seed : index->random;
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    index->random = random;
    uint32_t levels = 1;
    for (; levels < SUB_INDEX_LEVELS && (random & 3) == 0; random >>= 2)
        levels++;
    return levels;
}

void sub_index_add(struct sub_index *index, const struct slab *slab, uint32_t cell)
{
    struct sub_node **before[SUB_INDEX_LEVELS];
    struct key_state key = cache_key_of(slab_at(slab, cell));
    (void)locate(index, slab, &key, before);
    uint32_t levels = random_levels(index);
    struct sub_node *node = memory_alloc(node_bytes(levels));
    node->cell = cell;
    node->levels = levels;
    for (uint32_t level = 0; level < levels; level++) {
        node->next[level] = *before[level];
        *before[level] = node;
    }
    index->bytes += node_bytes(levels);
}

void sub_index_remove(struct sub_index *index, const struct slab *slab, uint32_t cell)
{
    struct sub_node **before[SUB_INDEX_LEVELS];
    struct key_state key = cache_key_of(slab_at(slab, cell));
    struct sub_node *node = locate(index, slab, &key, before);
    STRID_ASSERT(node != NULL && node->cell == cell);
    for (uint32_t level = 0; level < node->levels; level++)
        *before[level] = node->next[level];
    index->bytes -= node_bytes(node->levels);
    memory_free(node);
}

void sub_index_move(struct sub_index *index, const struct slab *slab, uint32_t from, uint32_t to)
{
    struct sub_node **before[SUB_INDEX_LEVELS];
    struct key_state key = cache_key_of(slab_at(slab, from));
    struct sub_node *node = locate(index, slab, &key, before);
    STRID_ASSERT(node != NULL && node->cell == from);
    node->cell = to;
}

const struct sub_node *sub_index_seek(const struct sub_index *index, const struct slab *slab,
                                      const struct key_state *key)
{
    struct sub_node *const *links = index->first;
    for (uint32_t level = SUB_INDEX_LEVELS; level-- > 0;)
        while (links[level] != NULL && is_below(slab, links[level], key))
            links = links[level]->next;
    return links[0];
}
