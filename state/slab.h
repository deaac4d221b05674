/* Memory of a cache: one reserved range of addresses, cut into pages of one size class each, cells
 * addressed by 32-bit numbers of 64-byte granules. Bounded: pages beyond `pages_max` are only taken
 * when the caller insists. One thread. */
#ifndef STATE_SLAB_H
#define STATE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SLAB_GRANULE = 64,
    SLAB_PAGE_GRANULES = 1024,
    SLAB_CLASSES = 28,
    SLAB_CELL_MAX = SLAB_GRANULE * SLAB_PAGE_GRANULES
};
/* Half of what numbers of cells reach: the other half is for who insists. */
#define SLAB_BYTES_MAX (UINT64_C(128) << 30)

/* The first bytes of a free cell; a used cell must not have SLAB_FREE_MARK in its first 8 bytes. */
struct slab_free {
    uint64_t mark;
    uint32_t next;
};
#define SLAB_FREE_MARK UINT64_C(0x66726565ffffffff)

struct slab_class {
    uint32_t granules; /* of one cell */
    uint32_t free;     /* number of the first cell that was given back + 1; 0: none */
    /* Cells fresh .. fresh_end of its newest page were never given to anybody, and are not written
     * to before: free cells, too. */
    uint32_t fresh, fresh_end;
    uint32_t free_count;
    uint32_t used_count;
    uint32_t page_count;
    uint32_t hand_page, hand_cell; /* where the walk over this class stands */
};

struct slab {
    uint8_t *base;
    size_t reserved; /* bytes of address space */
    uint32_t pages_max;
    uint32_t pages_used;
    uint8_t *page_class;
    struct slab_class classes[SLAB_CLASSES];
};

void slab_init(struct slab *slab, uint64_t bytes_max); /* at most SLAB_BYTES_MAX count */
void slab_fini(struct slab *slab);

/* Smallest class that holds `bytes` (at most SLAB_CELL_MAX). */
uint32_t slab_class_of(size_t bytes);
/* A cell, or SLAB_NONE where that needs a page beyond the bound and `insist` is false. */
#define SLAB_NONE UINT32_MAX
uint32_t slab_alloc(struct slab *slab, uint32_t class, bool insist);
void slab_release(struct slab *slab, uint32_t cell, uint32_t class);

static inline void *slab_at(const struct slab *slab, uint32_t cell)
{
    return slab->base + (size_t)cell * SLAB_GRANULE;
}
static inline uint32_t slab_cell_of(const struct slab *slab, const void *at)
{
    return (uint32_t)((size_t)((const uint8_t *)at - slab->base) / SLAB_GRANULE);
}

/* Of a cell that was once given to somebody. */
static inline bool slab_is_free(const struct slab *slab, uint32_t cell)
{
    return ((const struct slab_free *)slab_at(slab, cell))->mark == SLAB_FREE_MARK;
}

/* The next used cell of a class, round and round; SLAB_NONE after each whole round. */
uint32_t slab_walk(struct slab *slab, uint32_t class);

#endif
