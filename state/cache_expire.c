/* Removing entries whose time to live is over, a bounded step a call. */
#include "state/cache.h"

enum { EXPIRE_PREFETCH = 8 };

uint32_t cache_expire(struct cache *cache, int64_t now_ms, uint32_t slots)
{
    uint32_t expired = 0;
    size_t mask = cache->slot_count - 1;
    for (uint32_t i = 0; i < slots; i++) {
        uint64_t ahead = cache->slots[(cache->expire_at + EXPIRE_PREFETCH) & mask];
        if (ahead != 0)
            __builtin_prefetch(slab_at(&cache->slab, (uint32_t)ahead - 1));
        uint64_t slot = cache->slots[cache->expire_at & mask];
        cache->expire_at = (cache->expire_at + 1) & mask;
        struct cache_entry *entry = slot == 0 ? NULL : slab_at(&cache->slab, (uint32_t)slot - 1);
        if (entry == NULL || !key_is_expired(entry->expiry_ms, now_ms))
            continue;
        /* In place: the index stays as it is. */
        (void)cache_put(cache, entry, &(struct key_value){.kind = STRID_STATE_ABSENT});
        expired++;
    }
    return expired;
}
