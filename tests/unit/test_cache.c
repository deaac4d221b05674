#include <criterion/criterion.h>

#include <stdio.h>

#include "base/memory.h"
#include "state/cache.h"

enum { KEYS = 3000, VALUE_MAX = 100 * 1024 };

/* What the cache has to say, and what the store behind it would. */
struct model {
    bool cached; /* was added; may have been evicted */
    bool dirty;
    bool known;     /* the store has it, as of `block` */
    uint64_t block; /* that packed it last */
    strid_state_kind kind;
    uint8_t fill;
    size_t len;
};

struct play {
    struct cache cache;
    struct model *models;
    struct buffer block;
    uint64_t random;
    uint64_t sequence;     /* of the open block */
    uint64_t materialised; /* highest sequence that may be evicted */
    char key[24];
};

static uint8_t payload[VALUE_MAX];

static uint64_t random_next(struct play *play, uint64_t below)
{
    play->random = play->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (play->random >> 33) % below;
}

static struct cache_key key_of(struct play *play, uint32_t index)
{
    (void)snprintf(play->key, sizeof play->key, "key-%0*u", (int)(index % 17) + 1, index);
    /* Few different hashes: entries meet in the index and have to be told apart. */
    return (struct cache_key){.key = strid_bytes_of_text(play->key),
                              .hash = index % 5 == 0 ? 0xffffffff : index * 2654435761u,
                              .store = (uint8_t)(1 + index % 2)};
}

static size_t random_len(struct play *play)
{
    switch (random_next(play, 8)) {
    case 0:
        return 0;
    case 1:
        return random_next(play, 3000);
    case 2:
        return random_next(play, 20) == 0 ? random_next(play, VALUE_MAX) : 2048;
    default:
        return random_next(play, 64);
    }
}

static struct key_value random_value(struct play *play, struct model *model)
{
    model->kind = (strid_state_kind)random_next(play, 4);
    model->fill = (uint8_t)random_next(play, 256);
    model->len = model->kind == STRID_STATE_ABSENT  ? 0
                 : model->kind == STRID_STATE_BYTES ? random_len(play)
                                                    : 8;
    memset(payload, model->fill, model->len);
    return (struct key_value){
        .kind = model->kind,
        .bytes = strid_bytes_of(model->kind == STRID_STATE_ABSENT ? NULL : payload, model->len)};
}

static void check_entry(const struct model *model, const struct cache_entry *entry, uint32_t index)
{
    cr_assert_eq(cache_kind(entry), model->kind, "key %u", index);
    cr_assert_eq(entry->value_len, model->len, "key %u", index);
    const uint8_t *value = cache_value(entry);
    for (size_t i = 0; i < model->len; i++)
        cr_assert_eq(value[i], model->fill, "key %u byte %zu", index, i);
    cr_assert_eq((entry->flags & CACHE_DIRTY) != 0, model->dirty, "key %u", index);
}

/* Found, or evicted although clean and materialised; nothing else may be missing. */
static struct cache_entry *look_up(struct play *play, uint32_t index)
{
    struct cache_key key = key_of(play, index);
    struct model *model = &play->models[index];
    struct cache_entry *entry = cache_find(&play->cache, &key);
    if (entry == NULL) {
        cr_assert_not(model->dirty, "key %u was dirty and is gone", index);
        cr_assert(!model->cached || model->block <= play->materialised,
                  "key %u is in no store yet and is gone", index);
        model->cached = false;
        return NULL;
    }
    cr_assert(model->cached, "key %u was never added, or came back", index);
    check_entry(model, entry, index);
    return entry;
}

static void put(struct play *play, uint32_t index)
{
    struct cache_entry *entry = look_up(play, index);
    struct model *model = &play->models[index];
    if (entry == NULL) {
        struct cache_key key = key_of(play, index);
        struct key_value absent = {.kind = STRID_STATE_ABSENT};
        entry = cache_add(&play->cache, &key, &absent);
        model->block = 0;
    }
    struct key_value value = random_value(play, model);
    entry = cache_put(&play->cache, entry, &value);
    model->cached = true;
    model->dirty = true;
    check_entry(model, entry, index);
}

static void seal(struct play *play)
{
    struct block_view view;
    struct key_state key;
    struct key_value value;
    uint32_t dirty = 0, met = 0;
    block_begin(&play->block);
    uint32_t count = cache_pack(&play->cache, &play->block, play->sequence);
    block_end(&play->block, 1, 0, play->sequence, 0, count);
    block_number(&play->block, play->sequence, 0);
    cr_assert(block_open(buffer_bytes(&play->block), &view));
    for (; block_next_state(&view, &key, &value); met++)
        cr_assert(key.key.len > 4 && memcmp(key.key.data, "key-", 4) == 0);
    cr_assert_eq(met, count);
    for (uint32_t i = 0; i < KEYS; i++)
        if (play->models[i].dirty) {
            play->models[i].dirty = false;
            play->models[i].block = play->sequence;
            dirty++;
        }
    cr_assert_eq(count, dirty, "every dirty entry once");
    cr_assert(play->cache.dirty_count == 0 && play->cache.dirty_bytes == 0);
    play->sequence++;
}

static void step(struct play *play)
{
    uint64_t choice = random_next(play, 1000);
    if (choice < 700)
        put(play, (uint32_t)random_next(play, KEYS));
    else if (choice < 980)
        (void)look_up(play, (uint32_t)random_next(play, KEYS));
    else if (choice < 986)
        seal(play);
    else if (choice < 990)
        play->materialised = play->sequence > 2 ? play->sequence - 2 : 0;
    else
        (void)cache_make_room(&play->cache, (uint32_t)random_next(play, 64), play->materialised);
}

static void play_game(uint64_t seed, uint64_t bytes_max, int steps)
{
    struct play play = {.random = seed, .sequence = 1};
    play.models = memory_alloc_zeroed(KEYS * sizeof *play.models);
    cache_init(&play.cache, bytes_max, false);
    for (int i = 0; i < steps; i++)
        step(&play);
    size_t present = 0;
    for (uint32_t i = 0; i < KEYS; i++)
        present += look_up(&play, i) != NULL;
    cr_assert_eq(present, play.cache.entry_count);
    buffer_fini(&play.block);
    cache_fini(&play.cache);
    memory_free(play.models);
}

Test(cache, agrees_with_a_simple_model_while_entries_are_evicted, .timeout = 100)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        play_game(seed, seed % 3 == 0 ? 16u << 20 : 512u << 10, 15000);
}

static struct cache_entry *add(struct cache *cache, uint32_t index, size_t len)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%u", index);
    struct cache_key key = {
        .key = strid_bytes_of_text(name), .hash = index * 2654435761u, .store = 1};
    struct key_value value = {.kind = STRID_STATE_BYTES, .bytes = strid_bytes_of(payload, len)};
    return cache_add(cache, &key, &value);
}

static bool has(struct cache *cache, uint32_t index)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%u", index);
    struct cache_key key = {
        .key = strid_bytes_of_text(name), .hash = index * 2654435761u, .store = 1};
    return cache_find(cache, &key) != NULL;
}

Test(cache, index_grows_and_keeps_all)
{
    struct cache cache;
    enum { COUNT = 200000 };
    cache_init(&cache, UINT64_C(1) << 30, true);
    size_t slots = cache.slot_count;
    for (uint32_t i = 0; i < COUNT; i++)
        (void)add(&cache, i, 8);
    cr_assert_gt(cache.slot_count, slots);
    cr_assert_eq(cache.entry_count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        cr_assert(has(&cache, i), "%u", i);
    cr_assert_not(has(&cache, COUNT));
    cache_fini(&cache);
}

Test(cache, what_is_loaded_is_found_and_never_over_what_is_here)
{
    struct cache cache;
    enum { COUNT = 5000, HERE_EVERY = 7 };
    cache_init(&cache, UINT64_C(1) << 28, true);
    for (uint32_t i = 0; i < COUNT; i += HERE_EVERY)
        (void)add(&cache, i, 100);
    for (uint32_t i = 0; i < COUNT; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%u", i);
        struct cache_key key = {
            .key = strid_bytes_of_text(name), .hash = i * 2654435761u, .store = 1};
        uint64_t number = i;
        struct key_value value = {.kind = STRID_STATE_I64, .bytes = strid_bytes_of(&number, 8)};
        cache_stage(&cache, &key, &value);
        if (i == COUNT / 2)
            cache_expect(&cache, COUNT);
    }
    cache_stage_end(&cache);
    size_t slots = cache.slot_count;
    cr_assert_geq(2 * slots, 3 * COUNT);
    cr_assert_eq(cache.entry_count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%u", i);
        struct cache_key key = {
            .key = strid_bytes_of_text(name), .hash = i * 2654435761u, .store = 1};
        const struct cache_entry *entry = cache_find(&cache, &key);
        cr_assert_not_null(entry, "%u", i);
        cr_assert_eq(cache_kind(entry), i % HERE_EVERY == 0 ? STRID_STATE_BYTES : STRID_STATE_I64);
        cr_assert_eq(entry->flags & CACHE_DIRTY, 0);
    }
    cache_fini(&cache);
}

Test(cache, a_number_takes_the_place_of_a_number_and_of_nothing_else)
{
    struct cache cache;
    cache_init(&cache, UINT64_C(1) << 20, true);
    struct cache_entry *entry = add(&cache, 1, 8), *other = add(&cache, 2, 9);
    cr_assert_not(cache_put_number(&cache, other, STRID_STATE_I64, 7, 0));
    cr_assert_eq(cache.dirty_count, 0);
    cr_assert(cache_put_number(&cache, entry, STRID_STATE_I64, 7, 99));
    cr_assert(cache_put_number(&cache, entry, STRID_STATE_F64, 8, 98));
    uint64_t number;
    memcpy(&number, cache_value(entry), sizeof number);
    cr_assert_eq(number, 8);
    cr_assert_eq(cache_kind(entry), STRID_STATE_F64);
    cr_assert_eq(entry->expiry_ms, 98);
    cr_assert_eq(cache.dirty_count, 1, "listed once");
    cache_fini(&cache);
}

Test(cache, evicts_nothing_that_the_store_does_not_hold)
{
    struct cache cache;
    enum { COUNT = 20000 };
    cache_init(&cache, 256 * 1024, false);
    for (uint32_t i = 0; i < COUNT; i++)
        add(&cache, i, 8)->block = 5;
    cr_assert_not(cache_make_room(&cache, 512, 4), "nothing is materialised: no room");
    cr_assert_eq(cache.entry_count, COUNT);
    cr_assert(cache_make_room(&cache, 512, 5));
    cr_assert_lt(cache.entry_count, COUNT);
    cr_assert_gt(cache.evictions, 0);
    cache_fini(&cache);
}

Test(cache, pinned_entries_stay)
{
    struct cache cache;
    cache_init(&cache, 128 * 1024, false);
    for (uint32_t i = 0; i < 5000; i++)
        add(&cache, i, 8)->flags |= CACHE_PINNED;
    cr_assert_not(cache_make_room(&cache, 512, 100));
    cr_assert_eq(cache.entry_count, 5000);
    cache_fini(&cache);
}

Test(cache, eviction_ends_what_was_known_to_be_complete)
{
    struct cache cache;
    cache_init(&cache, 128 * 1024, true);
    cr_assert(cache_is_complete(&cache, 0) && cache_is_complete(&cache, UINT32_MAX));
    for (uint32_t i = 0; i < 20000; i++)
        (void)add(&cache, i, 8);
    cr_assert(cache_make_room(&cache, 512, 0));
    uint32_t complete = 0;
    for (uint32_t i = 0; i < 20000; i++)
        if (!has(&cache, i))
            cr_assert_not(cache_is_complete(&cache, i * 2654435761u), "key %u is gone", i);
        else
            complete += cache_is_complete(&cache, i * 2654435761u);
    (void)complete;
    cache_fini(&cache);
}

/* Steady state: each round adds as much as a chunk may, and memory ends growing. */
Test(cache, stays_bounded_when_room_is_made_for_all_that_comes)
{
    struct cache cache;
    enum { ROUND = 2560 };
    cache_init(&cache, 1024 * 1024, false);
    uint32_t next = 0, pages = 0;
    for (int round = 0; round < 200; round++) {
        cr_assert(cache_make_room(&cache, ROUND, UINT64_MAX));
        for (uint32_t i = 0; i < ROUND; i++)
            (void)add(&cache, next++, 8);
        if (round == 100)
            pages = cache.slab.pages_used;
    }
    cr_assert_eq(cache.slab.pages_used, pages, "it grew from %u to %u pages", pages,
                 cache.slab.pages_used);
    cache_fini(&cache);
}

Test(cache, what_is_asked_for_again_stays)
{
    struct cache cache;
    enum { HOT = 100, ROUND = 256 };
    cache_init(&cache, 256 * 1024, false);
    uint32_t next = HOT, missed = 0;
    for (int round = 0; round < 200; round++) {
        cr_assert(cache_make_room(&cache, ROUND, UINT64_MAX));
        for (uint32_t i = 0; i < HOT; i++)
            if (!has(&cache, i)) { /* which asks for it */
                (void)add(&cache, i, 8);
                missed += round > 100;
            }
        for (uint32_t i = 0; i < ROUND; i++)
            (void)add(&cache, next++, 8);
    }
    cr_assert_gt(cache.evictions, 200 * ROUND / 2);
    cr_assert_leq(missed, HOT, "%u", missed);
    cache_fini(&cache);
}

/* Blocks are sealed by it: an entry counts with its last value only. */
Test(cache, dirty_bytes_are_those_of_the_last_values)
{
    struct cache cache;
    static uint8_t bytes[5000];
    static const size_t lengths[] = {8, 5000, 100, 3000, 100, 8};
    struct key_value value = {.kind = STRID_STATE_BYTES};
    uint64_t first = 0;
    cache_init(&cache, 1024 * 1024, false);
    struct cache_entry *entry = add(&cache, 1, 8);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        value.bytes = strid_bytes_of(bytes, lengths[i]);
        entry = cache_put(&cache, entry, &value);
        first = i == 0 ? cache.dirty_bytes : first;
        cr_assert_eq(cache.dirty_bytes, first + lengths[i] - lengths[0]);
    }
    cache_fini(&cache);
}

/* Where values are large the next ones have their room before they come. */
Test(cache, large_values_leave_room_for_the_next_ones)
{
    struct cache cache;
    cache_init(&cache, 4 * 1024 * 1024, false);
    for (uint32_t i = 0; i < 300; i++) {
        cr_assert(cache_make_room(&cache, 2, UINT64_MAX));
        cr_assert_lt(cache_held_bytes(&cache), cache.bytes_max / 8 * 7 + 90 * 1024);
        (void)add(&cache, i, 90 * 1024);
    }
    cr_assert_gt(cache_held_bytes(&cache), cache.bytes_max / 8 * 6, "no more than needed");
    cache_fini(&cache);
}

Test(cache, large_values_are_bounded_by_their_own_bytes)
{
    struct cache cache;
    enum { COUNT = 200 };
    cache_init(&cache, 1024 * 1024, false);
    for (uint32_t i = 0; i < COUNT; i++)
        (void)add(&cache, i, 90 * 1024);
    cr_assert_gt(cache.outside_bytes, cache.bytes_max);
    cr_assert(cache_make_room(&cache, 0, UINT64_MAX));
    cr_assert_lt(cache.outside_bytes, cache.bytes_max);
    cr_assert_gt(cache.outside_bytes, 0, "no more than needed");
    cache_fini(&cache);
}

Test(cache, value_of_a_longest_key_fits_a_cell)
{
    struct cache cache;
    static uint8_t bytes[KEY_RECORD_KEY_MAX];
    cache_init(&cache, 16u << 20, false);
    struct cache_key key = {.key = strid_bytes_of(bytes, sizeof bytes), .hash = 1, .store = 1};
    struct key_value value = {.kind = STRID_STATE_ABSENT};
    struct cache_entry *entry = cache_add(&cache, &key, &value);
    value = (struct key_value){.kind = STRID_STATE_BYTES};
    for (value.bytes.len = 0; value.bytes.len < 5000; value.bytes.len += 128) {
        value.bytes.data = payload;
        entry = cache_put(&cache, entry, &value);
    }
    cr_assert_eq(cache_find(&cache, &key), entry);
    cr_assert_eq(entry->value_len, value.bytes.len - 128);
    cache_fini(&cache);
}

Test(cache, deletes_what_expired_and_nothing_else)
{
    struct cache cache;
    enum { COUNT = 2000 };
    cache_init(&cache, 16u << 20, true);
    for (uint32_t i = 0; i < COUNT; i++)
        add(&cache, i, i % 7 == 0 ? 3000 : 8)->expiry_ms = i % 2 == 0 ? 0 : 1 + (int64_t)i;
    uint32_t expired = 0;
    for (size_t slots = 0; slots < cache.slot_count; slots += 64)
        expired += cache_expire(&cache, 1000, 64);
    cr_assert_eq(expired, 500);
    cr_assert_eq(cache.dirty_count, 500);
    cr_assert_eq(cache_expire(&cache, 1000, (uint32_t)cache.slot_count), 0, "once is enough");
    for (uint32_t i = 0; i < COUNT; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%u", i);
        struct cache_key key = {
            .key = strid_bytes_of_text(name), .hash = i * 2654435761u, .store = 1};
        const struct cache_entry *entry = cache_find(&cache, &key);
        bool gone = i % 2 == 1 && i < 1000;
        cr_assert_not_null(entry);
        cr_assert_eq(cache_kind(entry) == STRID_STATE_ABSENT, gone, "%u", i);
    }
    cache_fini(&cache);
}

Test(cache, packs_the_expiry_with_the_value)
{
    struct cache cache;
    struct buffer block = {0};
    struct block_view view;
    struct key_state key;
    struct key_value value = {
        .kind = STRID_STATE_BYTES, .bytes = strid_bytes_of(payload, 3), .expiry_ms = 77};
    cache_init(&cache, 1u << 20, true);
    (void)cache_put(&cache, add(&cache, 1, 8), &value);
    block_begin(&block);
    cr_assert_eq(cache_pack(&cache, &block, 1), 1);
    block_end(&block, 1, 0, 1, 0, 1);
    block_number(&block, 1, 0);
    cr_assert(block_open(buffer_bytes(&block), &view));
    cr_assert(block_next_state(&view, &key, &value));
    cr_assert_eq(value.expiry_ms, 77);
    buffer_fini(&block);
    cache_fini(&cache);
}
