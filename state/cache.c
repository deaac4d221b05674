#include "state/cache.h"

#include <sys/mman.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/mutant.h"

enum {
    SLOTS_MIN = 1024,
    VALUE_INSIDE_MAX = 2048, /* larger values lie outside: slabs need not be of their sizes */
    BLOCK_ENTRY_OVERHEAD = 6,
    PACK_PREFETCH = 32,
    RESERVE_PART = 8
};

static uint32_t tag_of_key(uint32_t hash, uint8_t store, strid_bytes key, uint16_t sub_len)
{
    uint32_t tag = cache_tag(hash, store);
    return sub_len == 0 ? tag : tag ^ crc32c(0, key.data + (key.len - sub_len), sub_len);
}

static uint32_t tag_of_entry(const struct cache_entry *entry)
{
    if (__builtin_expect((entry->flags & CACHE_SUBKEY) == 0, 1))
        return cache_tag(entry->hash, entry->store);
    struct key_state key = cache_key_of(entry);
    return tag_of_key(key.hash, key.store, key.key, key.sub_len);
}

static uint64_t slot_of(uint32_t tag, uint32_t cell) { return (uint64_t)tag << 32 | (cell + 1); }

static uint64_t *map_slots(size_t count)
{
    void *slots = mmap(NULL, count * sizeof(uint64_t), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    STRID_ASSERT(slots != MAP_FAILED);
    (void)madvise(slots, count * sizeof(uint64_t), MADV_HUGEPAGE);
    return slots;
}

static void set_slots(struct cache *cache, size_t count)
{
    cache->slots = map_slots(count);
    cache->slot_count = count;
    cache->shift = 64 - (unsigned)__builtin_ctzll(count);
}

void cache_init(struct cache *cache, uint64_t bytes_max, bool complete)
{
    *cache = (struct cache){.bytes_max = bytes_max < SLAB_BYTES_MAX ? bytes_max : SLAB_BYTES_MAX};
    memset(cache->complete, complete ? 0xff : 0, sizeof cache->complete);
    slab_init(&cache->slab, bytes_max);
    set_slots(cache, SLOTS_MIN);
}

static void drop_value(struct cache *cache, struct cache_entry *entry)
{
    if ((entry->flags & CACHE_OUTSIDE) == 0)
        return;
    memory_free((void *)(uintptr_t)cache_value(entry));
    cache->outside_bytes -= entry->value_len;
    entry->flags &= (uint8_t)~CACHE_OUTSIDE;
}

void cache_fini(struct cache *cache)
{
    if (cache->slots == NULL)
        return;
    for (size_t i = 0; cache->outside_bytes > 0 && i < cache->slot_count; i++)
        if (cache->slots[i] != 0)
            drop_value(cache, slab_at(&cache->slab, (uint32_t)cache->slots[i] - 1));
    (void)munmap(cache->slots, cache->slot_count * sizeof(uint64_t));
    sub_index_fini(&cache->subs);
    slab_fini(&cache->slab);
    memory_free(cache->dirty);
    memory_free(cache->gone);
    *cache = (struct cache){0};
}

static bool is_sub_key(const struct cache_entry *entry, const struct cache_key *key)
{
    return entry->hash == key->hash && entry->store == key->store &&
           (entry->flags & CACHE_SUBKEY) != 0 &&
           (size_t)entry->key_len == key->key.len + CACHE_SUBKEY_LEN &&
           cache_sub_len(entry) == key->sub_len &&
           memcmp(entry->bytes, key->key.data, key->key.len) == 0;
}

struct cache_entry *cache_find_sub(struct cache *cache, const struct cache_key *key)
{
    if (key->sub_len == 0)
        return cache_find(cache, key);
    uint32_t tag = tag_of_key(key->hash, key->store, key->key, key->sub_len);
    size_t mask = cache->slot_count - 1;
    for (size_t at = cache_home(cache, tag); cache->slots[at] != 0; at = (at + 1) & mask) {
        if (cache->slots[at] >> 32 != tag)
            continue;
        struct cache_entry *entry = slab_at(&cache->slab, (uint32_t)cache->slots[at] - 1);
        if (is_sub_key(entry, key)) {
            entry->flags |= CACHE_REFERENCED;
            return entry;
        }
    }
    return NULL;
}

static void insert_slot(struct cache *cache, uint64_t slot)
{
    size_t mask = cache->slot_count - 1;
    size_t at = cache_home(cache, (uint32_t)(slot >> 32));
    while (cache->slots[at] != 0)
        at = (at + 1) & mask;
    cache->slots[at] = slot;
}

static void resize_slots(struct cache *cache, size_t wanted)
{
    uint64_t *old = cache->slots;
    size_t count = cache->slot_count;
    set_slots(cache, wanted);
    for (size_t i = 0; i < count; i++)
        if (old[i] != 0)
            insert_slot(cache, old[i]);
    (void)munmap(old, count * sizeof(uint64_t));
}

/* Where the slot of an entry that is here lies. */
static size_t find_slot(const struct cache *cache, const struct cache_entry *entry)
{
    uint32_t tag = tag_of_entry(entry);
    uint64_t slot = slot_of(tag, slab_cell_of(&cache->slab, entry));
    size_t mask = cache->slot_count - 1;
    size_t at = cache_home(cache, tag);
    while (cache->slots[at] != slot) {
        STRID_DASSERT(cache->slots[at] != 0);
        at = (at + 1) & mask;
    }
    return at;
}

static void remove_slot(struct cache *cache, size_t hole)
{
    size_t mask = cache->slot_count - 1;
    for (size_t at = (hole + 1) & mask; cache->slots[at] != 0; at = (at + 1) & mask) {
        size_t home = cache_home(cache, (uint32_t)(cache->slots[at] >> 32));
        /* It may move into the hole unless its home lies behind the hole. */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            cache->slots[hole] = cache->slots[at];
            hole = at;
        }
    }
    cache->slots[hole] = 0;
}

static size_t cell_bytes(size_t key_len, size_t value_len)
{
    return sizeof(struct cache_entry) + key_len +
           (value_len > VALUE_INSIDE_MAX ? sizeof(void *) : value_len);
}

static uint32_t class_of_entry(const struct cache_entry *entry)
{
    /* The cell was allotted for the longest value it ever had in place; value_len says that much
     * only if it did not shrink, so that shrinking moves, too. */
    return slab_class_of(cell_bytes(entry->key_len, entry->value_len));
}

static void store_value(struct cache *cache, struct cache_entry *entry,
                        const struct key_value *value)
{
    uint8_t *at = entry->bytes + entry->key_len;
    entry->flags = (uint8_t)((entry->flags & ~CACHE_KIND) | (uint8_t)value->kind);
    entry->value_len = (uint32_t)value->bytes.len;
    entry->expiry_ms = value->expiry_ms;
    if (value->bytes.len > VALUE_INSIDE_MAX) {
        uint8_t *outside = memory_alloc(value->bytes.len);
        memcpy(outside, value->bytes.data, value->bytes.len);
        memcpy(at, &outside, sizeof outside);
        entry->flags |= CACHE_OUTSIDE;
        cache->outside_bytes += value->bytes.len;
    } else if (value->bytes.len > 0) {
        memmove(at, value->bytes.data, value->bytes.len);
    }
}

static void grow_slots(struct cache *cache)
{
    if (3 * (cache->entry_count + cache->staged_count + 1) > 2 * cache->slot_count)
        resize_slots(cache, 2 * cache->slot_count);
}

void cache_expect(struct cache *cache, uint64_t entries)
{
    size_t wanted = cache->slot_count;
    while (2 * wanted < 3 * (entries + 1) && 4 * wanted * sizeof(uint64_t) < cache->bytes_max)
        wanted *= 2;
    if (wanted > cache->slot_count)
        resize_slots(cache, wanted);
}

/* A clean entry that the index does not know yet. */
static uint32_t make_entry(struct cache *cache, const struct cache_key *key,
                           const struct key_value *value)
{
    bool sub = key->sub_len != 0;
    size_t key_len = key->key.len + (sub ? (size_t)CACHE_SUBKEY_LEN : 0);
    uint32_t class = slab_class_of(cell_bytes(key_len, value->bytes.len));
    uint32_t cell = slab_alloc(&cache->slab, class, true);
    struct cache_entry *entry = slab_at(&cache->slab, cell);
    *entry = (struct cache_entry){.hash = key->hash,
                                  .key_len = (uint16_t)key_len,
                                  .store = key->store,
                                  .flags = CACHE_REFERENCED};
    if (key->key.len > 0)
        memcpy(entry->bytes, key->key.data, key->key.len);
    if (__builtin_expect(sub, 0)) {
        memcpy(entry->bytes + key->key.len, &key->sub_len, CACHE_SUBKEY_LEN);
        entry->flags |= CACHE_SUBKEY;
    }
    store_value(cache, entry, value);
    return cell;
}

static void add_entry(struct cache *cache, uint32_t cell)
{
    const struct cache_entry *entry = slab_at(&cache->slab, cell);
    if (__builtin_expect((entry->flags & CACHE_SUBKEY) != 0, 0))
        sub_index_add(&cache->subs, &cache->slab, cell);
    insert_slot(cache, slot_of(tag_of_entry(entry), cell));
    cache->entry_count++;
}

struct cache_entry *cache_add(struct cache *cache, const struct cache_key *key,
                              const struct key_value *value)
{
    grow_slots(cache);
    uint32_t cell = make_entry(cache, key, value);
    add_entry(cache, cell);
    return slab_at(&cache->slab, cell);
}

/* The entry that was staged first gets its place, unless its key has one. */
static void end_first(struct cache *cache)
{
    uint32_t cell = cache->staged[cache->staged_first++ % CACHE_STAGED_MAX];
    cache->staged_count--;
    struct cache_entry *entry = slab_at(&cache->slab, cell);
    struct key_state name = cache_key_of(entry);
    struct cache_key key = cache_key_from(&name);
    if (__builtin_expect(cache_find_sub(cache, &key) != NULL, 0)) {
        drop_value(cache, entry);
        slab_release(&cache->slab, cell, class_of_entry(entry));
        return;
    }
    add_entry(cache, cell);
}

void cache_stage(struct cache *cache, const struct cache_key *key, const struct key_value *value)
{
    if (cache->staged_count == CACHE_STAGED_MAX)
        end_first(cache);
    grow_slots(cache);
    uint32_t cell = make_entry(cache, key, value);
    cache->staged[(cache->staged_first + cache->staged_count++) % CACHE_STAGED_MAX] = cell;
    uint32_t tag = tag_of_entry(slab_at(&cache->slab, cell));
    __builtin_prefetch(&cache->slots[cache_home(cache, tag)], 1);
}

void cache_stage_end(struct cache *cache)
{
    while (cache->staged_count > 0)
        end_first(cache);
}

/* Moves an entry into a cell of another size; its value is set by the caller. */
static struct cache_entry *move_entry(struct cache *cache, struct cache_entry *old, uint32_t class)
{
    uint32_t old_class = class_of_entry(old);
    size_t slot = find_slot(cache, old);
    uint32_t cell = slab_alloc(&cache->slab, class, true);
    struct cache_entry *entry = slab_at(&cache->slab, cell);
    memcpy(entry, old, sizeof *old + old->key_len);
    cache->slots[slot] = slot_of((uint32_t)(cache->slots[slot] >> 32), cell);
    if ((entry->flags & CACHE_SUBKEY) != 0)
        sub_index_move(&cache->subs, &cache->slab, slab_cell_of(&cache->slab, old), cell);
    cache->moves++;
    if ((entry->flags & CACHE_DIRTY) != 0)
        cache->dirty[entry->dirty_at] = cell;
    slab_release(&cache->slab, slab_cell_of(&cache->slab, old), old_class);
    return entry;
}

void cache_list_dirty(struct cache *cache, struct cache_entry *entry)
{
    if ((entry->flags & CACHE_DIRTY) != 0)
        return;
    if (__builtin_expect(cache->dirty_count == cache->dirty_capacity, 0)) {
        cache->dirty_capacity = cache->dirty_capacity == 0 ? 1024 : 2 * cache->dirty_capacity;
        cache->dirty = memory_resize(cache->dirty, cache->dirty_capacity * sizeof *cache->dirty);
    }
    entry->flags |= CACHE_DIRTY;
    entry->dirty_at = cache->dirty_count;
    cache->dirty[cache->dirty_count++] = slab_cell_of(&cache->slab, entry);
    cache->dirty_bytes += BLOCK_ENTRY_OVERHEAD + entry->key_len + entry->value_len;
}

struct cache_entry *cache_put(struct cache *cache, struct cache_entry *entry,
                              const struct key_value *value)
{
    STRID_DASSERT((entry->flags & CACHE_PINNED) == 0);
    if (__builtin_expect(entry->value_len != value->bytes.len, 0)) {
        uint32_t class = slab_class_of(cell_bytes(entry->key_len, value->bytes.len));
        if (class != class_of_entry(entry)) {
            struct cache_entry *old = entry;
            const uint8_t *outside = cache_value(old);
            bool was_outside = (old->flags & CACHE_OUTSIDE) != 0;
            uint32_t old_len = old->value_len;
            entry = move_entry(cache, old, class);
            entry->flags &= (uint8_t)~CACHE_OUTSIDE;
            if (was_outside) {
                memory_free((void *)(uintptr_t)outside);
                cache->outside_bytes -= old_len;
            }
        }
        if ((entry->flags & CACHE_DIRTY) != 0)
            cache->dirty_bytes += value->bytes.len - entry->value_len;
    }
    drop_value(cache, entry);
    store_value(cache, entry, value);
    cache_list_dirty(cache, entry);
    return entry;
}

struct cache_entry *cache_set(struct cache *cache, const struct cache_key *key,
                              const struct key_value *value)
{
    struct cache_entry *entry = cache_find_sub(cache, key);
    if (entry != NULL)
        return cache_put(cache, entry, value);
    entry = cache_add(cache, key, value);
    cache_list_dirty(cache, entry);
    return entry;
}

uint32_t cache_pack(struct cache *cache, struct buffer *block, uint64_t sequence)
{
    uint32_t count = cache->dirty_count;
    for (uint32_t i = 0; i < count; i++) {
        if (i + PACK_PREFETCH < count)
            __builtin_prefetch(slab_at(&cache->slab, cache->dirty[i + PACK_PREFETCH]), 1);
        struct cache_entry *entry = slab_at(&cache->slab, cache->dirty[i]);
        STRID_DASSERT((entry->flags & CACHE_DIRTY) != 0 && entry->dirty_at == i);
        struct key_state key = cache_key_of(entry);
        struct key_value value = {.kind = cache_kind(entry),
                                  .bytes = strid_bytes_of(cache_value(entry), entry->value_len),
                                  .expiry_ms = entry->expiry_ms};
        block_put_state(block, &key, &value);
        entry->flags &= (uint8_t)~CACHE_DIRTY;
        entry->block = sequence;
        if (value.kind == STRID_STATE_ABSENT)
            cache_note_gone(cache, entry);
    }
    cache->dirty_count = 0;
    cache->dirty_bytes = 0;
    return count;
}

void cache_take_out(struct cache *cache, struct cache_entry *entry)
{
    uint32_t class = class_of_entry(entry);
    uint32_t cell = slab_cell_of(&cache->slab, entry);
    drop_value(cache, entry);
    remove_slot(cache, find_slot(cache, entry));
    if ((entry->flags & CACHE_SUBKEY) != 0)
        sub_index_remove(&cache->subs, &cache->slab, cell);
    slab_release(&cache->slab, cell, class);
    cache->entry_count--;
    cache->moves++;
}

static void evict(struct cache *cache, struct cache_entry *entry)
{
    if (!MUTANT(MUTANT_EVICTED_IS_ABSENT))
        cache->complete[entry->hash >> 30] &= ~(UINT64_C(1) << (entry->hash >> 24 & 63));
    cache_take_out(cache, entry);
    cache->evictions++;
}

/* The store has it, and nobody asked for it since the hand of the clock came by last. */
static void evict_unless_needed(struct cache *cache, struct cache_entry *entry,
                                uint64_t materialised)
{
    bool dirty = (entry->flags & CACHE_DIRTY) != 0 && !MUTANT(MUTANT_EVICT_DIRTY);
    bool ahead = entry->block > materialised && !MUTANT(MUTANT_EVICT_UNMATERIALISED);
    if (dirty || ahead || (entry->flags & CACHE_PINNED) != 0)
        return;
    if ((entry->flags & CACHE_REFERENCED) != 0)
        entry->flags &= (uint8_t)~CACHE_REFERENCED;
    else
        evict(cache, entry);
}

uint64_t cache_used_bytes(const struct cache *cache)
{
    uint64_t granules = 0;
    for (uint32_t i = 0; i < SLAB_CLASSES; i++)
        granules += (uint64_t)cache->slab.classes[i].used_count * cache->slab.classes[i].granules;
    return granules * SLAB_GRANULE + cache->outside_bytes +
           cache->entry_count * 2 * sizeof(uint64_t);
}

/* CLOCK over one size class until `wanted` cells are free: referenced entries get a second chance.
 */
static bool sweep(struct cache *cache, uint32_t class_index, uint32_t wanted, uint64_t materialised)
{
    struct slab_class *class = &cache->slab.classes[class_index];
    uint32_t rounds = 0;
    while (class->free_count < wanted && rounds < 3) {
        uint32_t cell = slab_walk(&cache->slab, class_index);
        if (cell == SLAB_NONE) {
            rounds++;
            continue;
        }
        struct cache_entry *entry = slab_at(&cache->slab, cell);
        evict_unless_needed(cache, entry, materialised);
    }
    return class->free_count >= wanted;
}

/* Where values lie outside, the next of them are as large: they have their room before they come.
 */
static uint64_t reserve(const struct cache *cache)
{
    return cache->outside_bytes == 0 ? 0 : cache->bytes_max / RESERVE_PART;
}

/* Values that lie outside are no cells: they have a bound of their own, what the cells leave or a
 * quarter. */
static bool shrink_outside(struct cache *cache, uint64_t materialised)
{
    uint64_t inside = (uint64_t)cache->slab.pages_used * SLAB_CELL_MAX +
                      cache->slot_count * sizeof(uint64_t) + reserve(cache);
    uint64_t quarter = cache->bytes_max / 4;
    uint64_t left = inside < cache->bytes_max ? cache->bytes_max - inside : 0;
    uint64_t limit = left > quarter ? left : quarter;
    for (uint32_t i = 0; i < SLAB_CLASSES && cache->outside_bytes > limit; i++) {
        uint32_t rounds = 0;
        while (cache->slab.classes[i].page_count > 0 && cache->outside_bytes > limit &&
               rounds < 3) {
            uint32_t cell = slab_walk(&cache->slab, i);
            if (cell == SLAB_NONE) {
                rounds++;
                continue;
            }
            struct cache_entry *entry = slab_at(&cache->slab, cell);
            if ((entry->flags & CACHE_OUTSIDE) != 0)
                evict_unless_needed(cache, entry, materialised);
        }
    }
    return cache->outside_bytes <= limit;
}

bool cache_make_room(struct cache *cache, uint32_t entries, uint64_t materialised)
{
    if (__builtin_expect(cache_held_bytes(cache) + reserve(cache) <= cache->bytes_max, 1))
        return true;
    bool room = cache->outside_bytes == 0 || shrink_outside(cache, materialised);
    for (uint32_t i = 0; i < SLAB_CLASSES; i++) {
        const struct slab_class *class = &cache->slab.classes[i];
        uint32_t cells = class->page_count * (SLAB_PAGE_GRANULES / class->granules);
        uint32_t wanted = entries < cells / 2 ? entries : cells / 2;
        if (class->page_count > 0 && class->free_count < wanted)
            room = sweep(cache, i, wanted, materialised) && room;
    }
    return room;
}
