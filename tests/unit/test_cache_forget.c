#include <criterion/criterion.h>

#include "state/cache.h"

static uint8_t payload[128];

/* Subkey `index` of one key; without a value it is deleted. */
static struct cache_entry *set_sub(struct cache *cache, uint8_t store, uint8_t index, size_t len)
{
    uint8_t name[] = {'k', index};
    struct cache_key key = {
        .key = strid_bytes_of(name, 2), .hash = 7, .store = store, .sub_len = 1};
    struct key_value value = {.kind = len == 0 ? STRID_STATE_ABSENT : STRID_STATE_BYTES,
                              .bytes = strid_bytes_of(payload, len)};
    return cache_set(cache, &key, &value);
}

static struct cache_entry *find_sub(struct cache *cache, uint8_t store, uint8_t index)
{
    uint8_t name[] = {'k', index};
    struct cache_key key = {
        .key = strid_bytes_of(name, 2), .hash = 7, .store = store, .sub_len = 1};
    return cache_find_sub(cache, &key);
}

Test(cache_forget, what_the_engine_deleted_is_forgotten_once_it_is_materialised)
{
    enum { OWN = 3, COUNT = 10 };
    struct cache cache;
    struct buffer block = {0};
    struct cache_key mark = {.key = strid_bytes_of_text(""), .hash = 7, .store = KEY_STORE_ENGINE};
    cache_init(&cache, UINT64_C(1) << 20, true);
    for (int pass = 0; pass < 2; pass++) { /* put; deleted */
        for (uint8_t i = 0; i < COUNT; i++) {
            (void)set_sub(&cache, KEY_STORE_ENGINE, i, pass == 0 ? 10 : 0);
            (void)set_sub(&cache, OWN, i, pass == 0 ? 10 : 0);
        }
        (void)cache_set(&cache, &mark, &(struct key_value){.kind = STRID_STATE_ABSENT});
        (void)cache_pack(&cache, &block, 4 + (uint64_t)pass);
    }
    cache_forget(&cache, 4);
    cr_assert_eq(cache.entry_count, 2 * COUNT + 1, "the store does not know yet");
    uint64_t with = cache.subs.bytes;
    (void)set_sub(&cache, KEY_STORE_ENGINE, 7, 10); /* again */
    cache_forget(&cache, 5);
    cr_assert_eq(cache.entry_count, COUNT + 2, "what handlers deleted is kept, and so is the mark");
    cr_assert_lt(cache.subs.bytes, with);
    cr_assert_null(find_sub(&cache, KEY_STORE_ENGINE, 6));
    cr_assert_not_null(find_sub(&cache, KEY_STORE_ENGINE, 7));
    cr_assert_not_null(find_sub(&cache, OWN, 6));
    cr_assert(cache_is_complete(&cache, 7));
    (void)set_sub(&cache, KEY_STORE_ENGINE, 7, 0);
    cache_forget(&cache, 9);
    cr_assert_not_null(find_sub(&cache, KEY_STORE_ENGINE, 7), "no block says so yet");
    (void)cache_pack(&cache, &block, 9);
    cache_forget(&cache, 9);
    cr_assert_eq(cache.entry_count, COUNT + 1);
    buffer_fini(&block);
    cache_fini(&cache);
}

Test(cache_forget, entries_that_come_and_go_do_not_fill_it)
{
    struct cache cache;
    struct buffer block = {0};
    size_t most = 0;
    cache_init(&cache, UINT64_C(16) << 20, true);
    for (uint32_t i = 0; i < 30000; i++) {
        struct cache_entry *entry = set_sub(&cache, KEY_STORE_ENGINE, (uint8_t)i, i % 100 + 1);
        if (i % 3 == 0)
            (void)cache_pack(&cache, &block, i);
        entry = find_sub(&cache, KEY_STORE_ENGINE, (uint8_t)(i - 9));
        if (entry != NULL && cache_kind(entry) != STRID_STATE_ABSENT)
            (void)set_sub(&cache, KEY_STORE_ENGINE, (uint8_t)(i - 9), 0);
        (void)cache_pack(&cache, &block, i);
        buffer_clear(&block);
        if (i % 7 == 0)
            cache_forget(&cache, i - i % 21);
        most = cache.entry_count > most ? cache.entry_count : most;
    }
    cr_assert_leq(most, 9 + 1 + 3 * 21, "%zu", most);
    cr_assert_leq(cache.gone_capacity, 512);
    cache_forget(&cache, UINT64_MAX);
    cr_assert_eq(cache.entry_count, 9, "those that are there");
    buffer_fini(&block);
    cache_fini(&cache);
}
