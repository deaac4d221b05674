#include "sim_stored.h"

#include "base/memory.h"

enum { CAPACITY_MIN = 1024 };

void sim_stored_fini(struct sim_stored *stored)
{
    memory_free(stored->entries);
    *stored = (struct sim_stored){0};
}

/* Where the key is, or would be. Keys are hashes. */
static struct sim_stored_entry *place_of(const struct sim_stored *stored, uint64_t key)
{
    uint32_t mask = stored->capacity - 1, at = (uint32_t)key & mask;
    while (stored->entries[at].key != 0 && stored->entries[at].key != key)
        at = (at + 1) & mask;
    return &stored->entries[at];
}

static void grow(struct sim_stored *stored)
{
    struct sim_stored old = *stored;
    stored->capacity = old.capacity == 0 ? CAPACITY_MIN : 2 * old.capacity;
    stored->entries = memory_alloc_zeroed(stored->capacity * sizeof *stored->entries);
    for (uint32_t i = 0; i < old.capacity; i++)
        if (old.entries[i].key != 0)
            *place_of(stored, old.entries[i].key) = old.entries[i];
    memory_free(old.entries);
}

void sim_stored_set(struct sim_stored *stored, uint64_t key, uint64_t value)
{
    if (2 * stored->count >= stored->capacity)
        grow(stored);
    struct sim_stored_entry *entry = place_of(stored, key);
    stored->count += entry->key == 0;
    *entry = (struct sim_stored_entry){.key = key, .value = value};
}

uint64_t sim_stored_get(const struct sim_stored *stored, uint64_t key)
{
    return stored->capacity == 0 ? 0 : place_of(stored, key)->value;
}
