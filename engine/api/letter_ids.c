#include "api/letter_ids.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"

/* Two halves: one is filled, the other one holds what was filled before it, and is dropped when the
 * first is full. So at least LETTER_IDS_MAX / 2 ids are known once there were as many. */
enum { SLOTS_FIRST = 1024, HALF_MAX = LETTER_IDS_MAX / 2, SLOTS_MAX = 2 * HALF_MAX, WORDS = 2 };

void letter_ids_fini(struct letter_ids *ids)
{
    memory_free(ids->slots);
    memory_free(ids->before);
    *ids = (struct letter_ids){0};
}

/* Where the hash is, or the free slot where it belongs. */
static uint64_t *find(uint64_t *slots, size_t slot_count, const uint64_t hash[WORDS])
{
    for (size_t at = hash[0] & (slot_count - 1);; at = (at + 1) & (slot_count - 1)) {
        uint64_t *slot = slots + at * WORDS;
        if ((slot[0] == hash[0] && slot[1] == hash[1]) || (slot[0] == 0 && slot[1] == 0))
            return slot;
    }
}

static void grow(struct letter_ids *ids)
{
    size_t slot_count = ids->slot_count == 0 ? SLOTS_FIRST : ids->slot_count * 2;
    uint64_t *slots = memory_alloc_zeroed(slot_count * WORDS * sizeof *slots);
    for (size_t i = 0; i < ids->slot_count; i++) {
        const uint64_t *hash = ids->slots + i * WORDS;
        if (hash[0] != 0 || hash[1] != 0)
            memcpy(find(slots, slot_count, hash), hash, WORDS * sizeof *slots);
    }
    memory_free(ids->slots);
    ids->slots = slots;
    ids->slot_count = slot_count;
}

static void hash_id(strid_bytes id, uint64_t hash[WORDS])
{
    XXH128_hash_t wide = XXH3_128bits(id.data, id.len);
    hash[0] = wide.low64;
    hash[1] = wide.high64 | 1; /* never both 0 */
}

bool letter_ids_has(const struct letter_ids *ids, strid_bytes id)
{
    uint64_t hash[WORDS];
    hash_id(id, hash);
    return (ids->slot_count > 0 && find(ids->slots, ids->slot_count, hash)[1] != 0) ||
           (ids->before != NULL && find(ids->before, ids->slot_count, hash)[1] != 0);
}

/* While there is no second half nothing can have been dropped with it. */
bool letter_ids_are_all(const struct letter_ids *ids) { return ids->before == NULL; }

bool letter_ids_add(struct letter_ids *ids, strid_bytes id)
{
    uint64_t hash[WORDS];
    hash_id(id, hash);
    if (ids->count == HALF_MAX) {
        memory_free(ids->before);
        ids->before = ids->slots;
        ids->slots = memory_alloc_zeroed(ids->slot_count * WORDS * sizeof *ids->slots);
        ids->count = 0;
    } else if (ids->count * 2 >= ids->slot_count && ids->slot_count < SLOTS_MAX) {
        grow(ids);
    }
    uint64_t *slot = find(ids->slots, ids->slot_count, hash);
    if (slot[1] != 0 || (ids->before != NULL && find(ids->before, ids->slot_count, hash)[1] != 0))
        return false;
    memcpy(slot, hash, sizeof hash);
    ids->count++;
    return true;
}
