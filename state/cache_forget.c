/* Forgetting what the engine itself deleted: each waiting record has an entry of its own, so that
 * their deletions would fill the cache, its index and that of its subkeys. */
#include <string.h>

#include "base/memory.h"
#include "state/cache.h"

enum {
    GONE_MIN = 256,
    FORGET_MAX = 1024 /* in one step: more than one packs on average */
};

/* Not counts and marks, one for each vshard, which are put and asked for again: their key is empty.
 */
static bool is_forgotten(const struct cache_entry *entry)
{
    return cache_kind(entry) == STRID_STATE_ABSENT && entry->key_len > 0 &&
           (entry->store & KEY_STORE_MAX) >= KEY_STORE_ENGINE;
}

static void make_room(struct cache *cache)
{
    uint32_t count = cache->gone_end - cache->gone_first;
    if (cache->gone_first > cache->gone_capacity / 2) {
        memmove(cache->gone, cache->gone + cache->gone_first, count * sizeof *cache->gone);
        cache->gone_first = 0;
        cache->gone_end = count;
        return;
    }
    cache->gone_capacity = cache->gone_capacity == 0 ? GONE_MIN : 2 * cache->gone_capacity;
    cache->gone = memory_resize(cache->gone, cache->gone_capacity * sizeof *cache->gone);
}

void cache_note_gone(struct cache *cache, const struct cache_entry *entry)
{
    if (!is_forgotten(entry))
        return;
    if (cache->gone_end == cache->gone_capacity)
        make_room(cache);
    cache->gone[cache->gone_end++] = slab_cell_of(&cache->slab, entry);
}

/* A cell may hold another entry by now, or none: only what it holds now counts. One of a later
 * block was noted again behind this place, but to wait for it here does no harm. */
void cache_forget(struct cache *cache, uint64_t materialised)
{
    for (uint32_t i = 0; i < FORGET_MAX && cache->gone_first < cache->gone_end; i++) {
        uint32_t cell = cache->gone[cache->gone_first];
        struct cache_entry *entry = slab_at(&cache->slab, cell);
        if (!slab_is_free(&cache->slab, cell) && is_forgotten(entry) &&
            (entry->flags & (CACHE_DIRTY | CACHE_PINNED)) == 0) {
            if (entry->block > materialised)
                return;
            cache_take_out(cache, entry);
        }
        cache->gone_first++;
    }
    if (cache->gone_first == cache->gone_end)
        cache->gone_first = cache->gone_end = 0;
}
