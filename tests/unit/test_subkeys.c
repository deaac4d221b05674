/* Subkeys in each layer of state: keys, blocks, folds, the cache and its ordered index. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "state/cache.h"
#include "state/fold.h"

enum { MANY = 3000, NAME = 64, SUBKEY = 16 };

static struct key_state key_of(char name[NAME], const char *record, const char *subkey)
{
    (void)snprintf(name, NAME, "%s%s", record, subkey);
    return (struct key_state){.hash = 0x12345678,
                              .sub_len = (uint16_t)strlen(subkey),
                              .store = 5,
                              .key = strid_bytes_of_text(name)};
}

static int compare_encoded(const struct key_state *a, const struct key_state *b)
{
    uint8_t left[64], right[64];
    size_t left_len = key_put_state(left, a), right_len = key_put_state(right, b);
    int order = memcmp(left, right, left_len < right_len ? left_len : right_len);
    order = order != 0 ? order : (left_len > right_len) - (left_len < right_len);
    return (order > 0) - (order < 0);
}

Test(subkeys, lie_behind_their_plain_entry_in_byte_order)
{
    static const char *const subkeys[] = {"", "a", "aa", "ab", "b", "\x7f", "\xff", "\xff\xff"};
    size_t count = sizeof subkeys / sizeof subkeys[0];
    char left[NAME], right[NAME], other[NAME];
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            struct key_state a = key_of(left, "key", subkeys[i]);
            struct key_state b = key_of(right, "key", subkeys[j]);
            cr_assert_eq(compare_encoded(&a, &b), (i > j) - (i < j));
            cr_assert_eq(key_compare_names(&a, &b), (i > j) - (i < j));
        }
    /* No other key lies between them: "kez" and "keyabc" without a subkey, of the same hash. */
    struct key_state first = key_of(left, "key", ""), last = key_of(right, "key", "\xff\xff");
    struct key_state next = key_of(other, "kez", "");
    cr_assert_eq(compare_encoded(&last, &next), -1);
    next = key_of(other, "keyabc", "");
    cr_assert_eq(compare_encoded(&last, &next), -1);
    cr_assert_eq(compare_encoded(&first, &next), key_compare_names(&first, &next));
}

Test(subkeys, encoded_key_tells_record_key_and_subkey_apart)
{
    char name[NAME];
    uint8_t encoded[64];
    struct key_state key = key_of(name, "key", "sub"), read;
    size_t len = key_put_state(encoded, &key);
    cr_assert(key_get_state(strid_bytes_of(encoded, len), &read));
    cr_assert(strid_bytes_equal(key_record_of(&read), strid_bytes_of_text("key")));
    cr_assert(strid_bytes_equal(key_subkey_of(&read), strid_bytes_of_text("sub")));
    cr_assert_not(key_get_state(strid_bytes_of(encoded, KEY_STATE_HEADER + 2), &read),
                  "shorter than its record key");
    static uint8_t large[KEY_STATE_HEADER + KEY_SUBKEY_MAX + 1];
    large[0] = 's';
    cr_assert(key_get_state(strid_bytes_of(large, sizeof large - 1), &read));
    cr_assert_not(key_get_state(strid_bytes_of(large, sizeof large), &read), "a longer subkey");
}

static void put(struct buffer *block, const struct key_state *key, int64_t number)
{
    struct key_value value = {.kind = STRID_STATE_I64,
                              .bytes = strid_bytes_of(&number, sizeof number)};
    block_put_state(block, key, &value);
}

static void add(struct fold *fold, struct buffer *block, uint64_t number, uint32_t states)
{
    struct block_view view;
    block_end(block, 1, 0, number, 0, states);
    block_number(block, number, number - 1);
    cr_assert(fold_add(fold, buffer_bytes(block), &view));
}

Test(subkeys, block_gives_back_what_was_packed)
{
    char name[NAME];
    struct buffer block = {0};
    struct block_view view;
    struct key_state key;
    struct key_value value = {
        .kind = STRID_STATE_BYTES, .bytes = strid_bytes_of_text("v"), .expiry_ms = 77};
    block_begin(&block);
    struct key_state with = key_of(name, "key", "sub");
    block_put_state(&block, &with, &value);
    put(&block, &(struct key_state){.hash = 1, .store = 2, .key = strid_bytes_of_text("k")}, 4);
    block_end(&block, 1, 0, 1, 0, 2);
    block_number(&block, 1, 0);
    cr_assert(block_open(buffer_bytes(&block), &view));
    cr_assert(block_next_state(&view, &key, &value));
    cr_assert(key.sub_len == 3 && key.hash == 0x12345678 && key.store == 5);
    cr_assert(strid_bytes_equal(key.key, strid_bytes_of_text("keysub")));
    cr_assert(value.expiry_ms == 77 && strid_bytes_equal(value.bytes, strid_bytes_of_text("v")));
    cr_assert(block_next_state(&view, &key, &value) && key.sub_len == 0);
    cr_assert_not(block_next_state(&view, &key, &value));
    buffer_fini(&block);
}

/* Thousands of subkeys of one key have the same place; blocks overwrite parts of them. */
Test(subkeys, fold_keeps_the_newest_of_each_in_order)
{
    struct fold *fold = fold_create();
    struct buffer block = {0};
    char name[NAME], subkey[SUBKEY];
    for (uint32_t b = 1; b <= 3; b++) {
        uint32_t states = 0;
        block_begin(&block);
        for (uint32_t i = 0; i < MANY; i += b, states++) {
            (void)snprintf(subkey, sizeof subkey, "%u", (i * 7919) % MANY);
            struct key_state key = key_of(name, "key", subkey);
            put(&block, &key, b);
        }
        add(fold, &block, b, states);
    }
    fold_sort(fold);
    cr_assert_eq(fold_count(fold), MANY);
    struct buffer last = {0};
    struct store_op op;
    for (uint32_t i = 0; i < MANY; i++) {
        cr_assert(fold_next(fold, &op));
        size_t shared = last.len < op.key.len ? last.len : op.key.len;
        int order = i == 0 ? -1 : memcmp(last.data, op.key.data, shared);
        cr_assert(order < 0 || (order == 0 && last.len < op.key.len));
        buffer_clear(&last);
        buffer_put_bytes(&last, op.key);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        int64_t number = 0;
        struct key_value value;
        (void)snprintf(subkey, sizeof subkey, "%u", (i * 7919) % MANY);
        struct key_state key = key_of(name, "key", subkey);
        cr_assert(fold_get(fold, &key, &value));
        memcpy(&number, value.bytes.data, sizeof number);
        cr_assert_eq(number, i % 3 == 0 ? 3 : i % 2 == 0 ? 2 : 1);
    }
    struct key_value untouched = {.kind = STRID_STATE_ABSENT};
    struct key_state absent = key_of(name, "key", "x");
    cr_assert_not(fold_get(fold, &absent, &untouched));
    cr_assert_eq(untouched.kind, STRID_STATE_ABSENT);
    buffer_fini(&last);
    buffer_fini(&block);
    fold_destroy(fold);
}

static struct cache_key cached(char name[NAME], uint32_t index)
{
    char subkey[SUBKEY];
    (void)snprintf(subkey, sizeof subkey, "%05u", index);
    struct key_state key = key_of(name, "key", subkey);
    return cache_key_from(&key);
}

static uint32_t walk(const struct cache *cache)
{
    char name[NAME];
    struct key_state from = key_of(name, "key", "");
    struct buffer last = {0};
    uint32_t count = 0;
    const struct sub_node *node = sub_index_seek(&cache->subs, &cache->slab, &from);
    for (; node != NULL; node = node->next[0], count++) {
        struct key_state key = cache_key_of(slab_at(&cache->slab, node->cell));
        strid_bytes subkey = key_subkey_of(&key);
        cr_assert(last.len == 0 || memcmp(last.data, subkey.data, subkey.len) < 0);
        buffer_clear(&last);
        buffer_put_bytes(&last, subkey);
    }
    buffer_fini(&last);
    return count;
}

Test(subkeys, cache_tells_them_from_the_plain_entry)
{
    struct cache cache;
    char name[NAME], plain_name[NAME];
    cache_init(&cache, 1 << 20, true);
    struct key_state split = key_of(name, "key", "sub"), plain = key_of(plain_name, "keysub", "");
    struct cache_key split_key = cache_key_from(&split), plain_key = cache_key_from(&plain);
    int64_t one = 1, two = 2;
    struct key_value value = {.kind = STRID_STATE_I64, .bytes = strid_bytes_of(&one, 8)};
    (void)cache_set(&cache, &split_key, &value);
    cr_assert_null(cache_find(&cache, &plain_key));
    value.bytes = strid_bytes_of(&two, 8);
    (void)cache_set(&cache, &plain_key, &value);
    cr_assert_eq(memcmp(cache_value(cache_find_sub(&cache, &split_key)), &one, 8), 0);
    cr_assert_eq(memcmp(cache_value(cache_find_sub(&cache, &plain_key)), &two, 8), 0);
    split_key.sub_len = 2;
    cr_assert_null(cache_find_sub(&cache, &split_key), "\"keys\" and \"ub\"");
    cr_assert_eq(walk(&cache), 1);
    cache_fini(&cache);
}

/* Puts that move entries, packing and eviction: the index follows, and gives up its memory. */
Test(subkeys, index_of_the_cache_follows_its_entries)
{
    static uint8_t payload[3000];
    struct cache cache;
    struct buffer block = {0};
    char name[NAME];
    cache_init(&cache, 1 << 20, true);
    for (uint32_t i = 0; i < MANY; i++) {
        struct cache_key key = cached(name, (i * 7919) % MANY);
        struct key_value value = {.kind = STRID_STATE_BYTES,
                                  .bytes = strid_bytes_of(payload, i % 100)};
        (void)cache_set(&cache, &key, &value);
    }
    cr_assert_eq(walk(&cache), MANY);
    for (uint32_t i = 0; i < MANY; i += 3) {
        struct cache_key key = cached(name, i);
        struct key_value value = {.kind = STRID_STATE_BYTES,
                                  .bytes = strid_bytes_of(payload, 100 + i % 2900)};
        (void)cache_set(&cache, &key, &value);
    }
    cr_assert_eq(walk(&cache), MANY);
    block_begin(&block);
    cr_assert_eq(cache_pack(&cache, &block, 1), MANY);
    cr_assert_not(cache_make_room(&cache, MANY, 0), "nothing is materialised");
    cr_assert_eq(walk(&cache), MANY);
    (void)cache_make_room(&cache, MANY, 1);
    cr_assert(cache.evictions > 0);
    cr_assert_eq(walk(&cache), MANY - cache.evictions);
    uint32_t found = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        struct cache_key key = cached(name, i);
        found += cache_find_sub(&cache, &key) != NULL;
    }
    cr_assert_eq(found, MANY - cache.evictions);
    buffer_fini(&block);
    cache_fini(&cache);
    cr_assert_eq(cache.subs.bytes, 0);
}
