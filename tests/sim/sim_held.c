#include "sim_held.h"

#include <xxhash.h>

#include "base/assert.h"
#include "base/memory.h"
#include "state/block.h"

#include "sim_random.h"

enum { CAPACITY_MIN = 1024 }; /* a power of two, as all of them */

void sim_held_fini(struct sim_held *held)
{
    memory_free(held->entries);
    memory_free(held->slots);
    *held = (struct sim_held){0};
}

uint64_t sim_held_key(const struct key_state *key)
{
    uint64_t seed = (uint64_t)key->hash << 32 | (uint64_t)key->store << 16 | key->sub_len;
    return XXH3_64bits_withSeed(key->key.data, key->key.len, seed);
}

uint64_t sim_held_value(const struct key_value *value)
{
    if (value->kind == STRID_STATE_ABSENT)
        return 0;
    uint64_t hash = XXH3_64bits_withSeed(value->bytes.data, value->bytes.len, value->kind);
    return hash + sim_random_mix((uint64_t)value->expiry_ms);
}

static uint32_t slot_of(const struct sim_held *held, uint64_t key)
{
    return (uint32_t)key & (held->capacity - 1);
}

static void link_entry(struct sim_held *held, uint32_t index)
{
    uint32_t *slot = &held->slots[slot_of(held, held->entries[index].key)];
    held->entries[index].before = *slot;
    *slot = index + 1;
}

/* Makes room: what is gone is dropped, and if that is less than half there is more of it. */
static void make_room(struct sim_held *held)
{
    uint32_t count = held->end - held->begin;
    uint32_t capacity = held->capacity < CAPACITY_MIN ? CAPACITY_MIN : held->capacity;
    if (count > capacity / 2)
        capacity *= 2;
    struct sim_held_entry *entries = memory_alloc(capacity * sizeof *entries);
    if (count > 0)
        memcpy(entries, held->entries + held->begin, count * sizeof *entries);
    memory_free(held->entries);
    memory_free(held->slots);
    held->entries = entries;
    held->slots = memory_alloc_zeroed(capacity * sizeof *held->slots);
    held->capacity = capacity;
    held->begin = 0;
    held->end = count;
    for (uint32_t i = 0; i < count; i++)
        link_entry(held, i);
}

void sim_held_add(struct sim_held *held, strid_bytes block)
{
    struct block_view view;
    struct key_state key;
    struct key_value value;
    bool opened = block_open(block, &view);
    STRID_ASSERT(opened);
    while (block_next_state(&view, &key, &value)) {
        if (held->end == held->capacity)
            make_room(held);
        held->entries[held->end] = (struct sim_held_entry){.number = view.number,
                                                           .key = sim_held_key(&key),
                                                           .value = sim_held_value(&value),
                                                           .expiry_ms = value.expiry_ms};
        link_entry(held, held->end++);
    }
    held->through = view.number;
}

void sim_held_forget(struct sim_held *held, uint64_t number)
{
    while (held->begin < held->end && held->entries[held->begin].number < number)
        held->begin++;
}

/* The newest entry of the slot that a key belongs to: its place + 1, as `before` has it. */
static uint32_t newest(const struct sim_held *held, uint64_t key)
{
    return held->begin == held->end ? 0 : held->slots[slot_of(held, key)];
}

bool sim_held_has(const struct sim_held *held, uint64_t key, uint64_t value, int64_t now_ms)
{
    for (uint32_t at = newest(held, key); at > held->begin; at = held->entries[at - 1].before) {
        const struct sim_held_entry *entry = &held->entries[at - 1];
        if (entry->key == key &&
            (entry->value == value || (value == 0 && key_is_expired(entry->expiry_ms, now_ms))))
            return true;
    }
    return false;
}

uint32_t sim_held_first(const struct sim_held *held, uint64_t number)
{
    uint32_t low = held->begin, high = held->end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (held->entries[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool sim_held_is_last(const struct sim_held *held, const struct sim_held_entry *entry,
                      uint64_t number)
{
    uint32_t at = newest(held, entry->key);
    while (held->entries[at - 1].key != entry->key || held->entries[at - 1].number > number)
        at = held->entries[at - 1].before;
    return &held->entries[at - 1] == entry;
}
