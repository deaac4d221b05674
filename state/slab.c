#include "state/slab.h"

#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/memory.h"

static const uint16_t class_granules[SLAB_CLASSES] = {1,  2,  3,   4,   5,   6,   7,   8,   10, 12,
                                                      14, 16, 18,  20,  24,  28,  32,  40,  48, 56,
                                                      64, 96, 128, 192, 256, 384, 512, 1024};

enum {
    PAGE_BYTES = SLAB_PAGE_GRANULES * SLAB_GRANULE,
    RESERVE_FACTOR = 4,
    RESERVE_EXTRA_PAGES = 4096,
    PAGES_LIMIT = UINT32_MAX / SLAB_PAGE_GRANULES /* cell + 1 is a number of 32 bits, too */
};

void slab_init(struct slab *slab, uint64_t bytes_max)
{
    uint64_t bytes = bytes_max < SLAB_BYTES_MAX ? bytes_max : SLAB_BYTES_MAX;
    *slab = (struct slab){.pages_max = (uint32_t)(bytes / PAGE_BYTES)};
    if (slab->pages_max == 0)
        slab->pages_max = 1;
    /* Addresses cost nothing until they are touched; more than the bound is only touched when a
     * caller insists. */
    size_t pages = (size_t)slab->pages_max * RESERVE_FACTOR + RESERVE_EXTRA_PAGES;
    pages = pages < PAGES_LIMIT ? pages : PAGES_LIMIT;
    slab->reserved = pages * PAGE_BYTES;
    void *base = mmap(NULL, slab->reserved, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    STRID_ASSERT(base != MAP_FAILED);
    /* Random access over hundreds of megabytes: huge pages spare most TLB misses. Advice only. */
    (void)madvise(base, slab->reserved, MADV_HUGEPAGE);
    slab->base = base;
    slab->page_class = memory_alloc_zeroed(pages);
    for (uint32_t i = 0; i < SLAB_CLASSES; i++)
        slab->classes[i].granules = class_granules[i];
}

void slab_fini(struct slab *slab)
{
    if (slab->base != NULL)
        (void)munmap(slab->base, slab->reserved);
    memory_free(slab->page_class);
    *slab = (struct slab){0};
}

uint32_t slab_class_of(size_t bytes)
{
    STRID_ASSERT(bytes <= SLAB_CELL_MAX);
    size_t granules = (bytes + SLAB_GRANULE - 1) / SLAB_GRANULE;
    uint32_t class = granules <= 8 ? (granules == 0 ? 0 : (uint32_t)granules - 1) : 8;
    while (class_granules[class] < granules)
        class ++;
    return class;
}

static void release(struct slab *slab, struct slab_class *class, uint32_t cell)
{
    struct slab_free *free_cell = slab_at(slab, cell);
    free_cell->mark = SLAB_FREE_MARK;
    free_cell->next = class->free;
    class->free = cell + 1;
    class->free_count++;
}

/* Nothing of it is touched yet: a cache that holds little must not take whole pages of each class,
 * and one that is filled at the start writes each cell once. */
static void add_page(struct slab *slab, uint32_t class_index)
{
    struct slab_class *class = &slab->classes[class_index];
    uint32_t page = slab->pages_used++, cells = SLAB_PAGE_GRANULES / class->granules;
    STRID_ASSERT((size_t)slab->pages_used * PAGE_BYTES <= slab->reserved);
    STRID_DASSERT(class->fresh == class->fresh_end);
    slab->page_class[page] = (uint8_t)(class_index + 1);
    class->page_count++;
    class->fresh = page * SLAB_PAGE_GRANULES;
    class->fresh_end = class->fresh + cells * class->granules;
    class->free_count += cells;
}

/* What was given back first: its bytes are near. */
static uint32_t take_free(struct slab *slab, struct slab_class *class)
{
    uint32_t cell = class->fresh;
    if (class->free == 0) {
        class->fresh += class->granules;
        return cell;
    }
    cell = class->free - 1;
    struct slab_free *free_cell = slab_at(slab, cell);
    STRID_DASSERT(free_cell->mark == SLAB_FREE_MARK);
    class->free = free_cell->next;
    return cell;
}

uint32_t slab_alloc(struct slab *slab, uint32_t class_index, bool insist)
{
    struct slab_class *class = &slab->classes[class_index];
    if (class->free == 0 && class->fresh == class->fresh_end) {
        if (slab->pages_used >= slab->pages_max && !insist)
            return SLAB_NONE;
        add_page(slab, class_index);
    }
    uint32_t cell = take_free(slab, class);
    class->free_count--;
    class->used_count++;
    return cell;
}

void slab_release(struct slab *slab, uint32_t cell, uint32_t class_index)
{
    struct slab_class *class = &slab->classes[class_index];
    STRID_DASSERT(class->used_count > 0);
    class->used_count--;
    release(slab, class, cell);
}

uint32_t slab_walk(struct slab *slab, uint32_t class_index)
{
    struct slab_class *class = &slab->classes[class_index];
    uint32_t cells = SLAB_PAGE_GRANULES / class->granules;
    for (;;) {
        if (class->hand_page >= slab->pages_used) {
            class->hand_page = class->hand_cell = 0;
            return SLAB_NONE;
        }
        if (slab->page_class[class->hand_page] != class_index + 1 || class->hand_cell >= cells) {
            class->hand_page++;
            class->hand_cell = 0;
            continue;
        }
        uint32_t cell =
            class->hand_page * SLAB_PAGE_GRANULES + class->hand_cell++ * class->granules;
        bool is_fresh = cell >= class->fresh && cell < class->fresh_end;
        if (!is_fresh && !slab_is_free(slab, cell))
            return cell;
    }
}
