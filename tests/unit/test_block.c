#include <criterion/criterion.h>

#include "state/block.h"

static const char big[3000];

struct entry {
    uint32_t hash;
    uint8_t store;
    const char *key;
    struct key_value value;
};

static const int64_t number = INT64_MIN;
static const double real = -0.25;
static const int64_t zero = 0, one = 1, two_bytes = 0x8000, seven_bytes = INT64_C(1) << 55;

static const struct entry entries[] = {
    {0x01000000, 1, "a", {STRID_STATE_I64, {(const uint8_t *)&number, 8}, 0}},
    {0xff000001, 2, "", {STRID_STATE_F64, {(const uint8_t *)&real, 8}, 0}},
    {0x00000000, 0x81, "key of a record", {STRID_STATE_BYTES, {(const uint8_t *)"xyz", 3}, 0}},
    {0x7f000000, 3, "empty", {STRID_STATE_BYTES, {(const uint8_t *)"", 0}, 0}},
    {0x80000000, 3, "gone", {STRID_STATE_ABSENT, {NULL, 0}, 0}},
    {0x22000000, 4, "soon", {STRID_STATE_I64, {(const uint8_t *)&number, 8}, 1}},
    {0x22000001, 4, "late", {STRID_STATE_BYTES, {(const uint8_t *)"xyz", 3}, INT64_MAX}},
    {0x42000001, 1, "zero", {STRID_STATE_I64, {(const uint8_t *)&zero, 8}, 0}},
    {0x42000002, 1, "one", {STRID_STATE_I64, {(const uint8_t *)&one, 8}, INT64_MAX}},
    {0x42000003, 1, "two", {STRID_STATE_I64, {(const uint8_t *)&two_bytes, 8}, 0}},
    {0x42000004, 1, "seven", {STRID_STATE_I64, {(const uint8_t *)&seven_bytes, 8}, 0}},
    {0x42000005, 1, "zero real", {STRID_STATE_F64, {(const uint8_t *)&zero, 8}, 0}},
    {0x42000000, 1, "large", {STRID_STATE_BYTES, {(const uint8_t *)big, sizeof big}, 0}},
};
enum { ENTRIES = sizeof entries / sizeof entries[0] };

static void make(struct buffer *block)
{
    block_begin(block);
    block_put_progress(block, &(struct block_progress){.partition = 3, .position = {1, 2}});
    block_put_progress(block,
                       &(struct block_progress){.partition = 9, .position = {0, UINT64_MAX}});
    for (size_t i = 0; i < ENTRIES; i++)
        block_put_state(block,
                        &(struct key_state){.hash = entries[i].hash,
                                            .store = entries[i].store,
                                            .key = strid_bytes_of_text(entries[i].key)},
                        &entries[i].value);
    block_end(block, 5, 2, 77, 2, ENTRIES);
    block_number(block, 1000, 998);
}

Test(block, reads_back_what_was_packed)
{
    struct buffer block = {0};
    struct block_view view;
    struct block_progress progress;
    struct key_state key;
    struct key_value value;
    make(&block);
    cr_assert(block_open(buffer_bytes(&block), &view));
    cr_assert(view.number == 1000 && view.synced == 998 && view.run == 5);
    cr_assert(view.worker == 2 && view.sequence == 77);
    cr_assert(view.progress_count == 2 && view.state_count == ENTRIES);
    cr_assert(block_next_progress(&view, &progress));
    cr_assert(progress.partition == 3 && progress.position.high == 1 && progress.position.low == 2);
    cr_assert(block_next_progress(&view, &progress));
    cr_assert(progress.partition == 9 && progress.position.low == UINT64_MAX);
    cr_assert_not(block_next_progress(&view, &progress));
    for (size_t i = 0; i < ENTRIES; i++) {
        cr_assert(block_next_state(&view, &key, &value), "entry %zu", i);
        cr_assert_eq(key.hash >> 24, entries[i].hash >> 24);
        cr_assert_eq(key.store, entries[i].store);
        cr_assert(strid_bytes_equal(key.key, strid_bytes_of_text(entries[i].key)));
        cr_assert_eq(value.kind, entries[i].value.kind);
        cr_assert(strid_bytes_equal(value.bytes, entries[i].value.bytes));
        cr_assert_eq(value.expiry_ms, entries[i].value.expiry_ms);
    }
    cr_assert_not(block_next_state(&view, &key, &value));
    cr_assert(!view.state.failed && !view.progress.failed);
    buffer_fini(&block);
}

static size_t packed_len(int64_t count)
{
    struct buffer block = {0};
    struct key_value value = {.kind = STRID_STATE_I64,
                              .bytes = strid_bytes_of((const uint8_t *)&count, sizeof count)};
    block_begin(&block);
    block_put_state(&block, &(struct key_state){.store = 1, .key = strid_bytes_of_text("k")},
                    &value);
    size_t len = block.len - BLOCK_HEADER;
    buffer_fini(&block);
    return len;
}

Test(block, an_integer_takes_the_bytes_that_say_something)
{
    cr_assert_eq(packed_len(0), 8); /* kind, store, hash, length, key */
    cr_assert_eq(packed_len(1), 9);
    cr_assert_eq(packed_len(255), 9);
    cr_assert_eq(packed_len(256), 10);
    cr_assert_eq(packed_len(INT64_MAX), 16);
    cr_assert_eq(packed_len(-1), 16);
}

/* Blocks in which integers are whole, as the engine once wrote them, are read as ever. */
Test(block, whole_integers_are_read_too)
{
    struct buffer block = {0};
    struct block_view view;
    struct key_state key;
    struct key_value value;
    block_begin(&block);
    buffer_put(&block, "\x02\x01\0\0\0\0\x01k\x05\0\0\0\0\0\0\0", 16);
    block_end(&block, 1, 0, 1, 0, 1);
    block_number(&block, 1, 0);
    cr_assert(block_open(buffer_bytes(&block), &view));
    cr_assert(block_next_state(&view, &key, &value));
    cr_assert(value.kind == STRID_STATE_I64 && value.bytes.len == 8 && value.bytes.data[0] == 5);
    buffer_fini(&block);
}

Test(block, empty_block_is_a_block)
{
    struct buffer block = {0};
    struct block_view view;
    struct block_progress progress;
    struct key_state key;
    struct key_value value;
    block_begin(&block);
    block_end(&block, 1, 0, 1, 0, 0);
    block_number(&block, 1, 0);
    cr_assert(block_open(buffer_bytes(&block), &view));
    cr_assert_not(block_next_progress(&view, &progress));
    cr_assert_not(block_next_state(&view, &key, &value));
    buffer_fini(&block);
}

Test(block, every_damaged_byte_is_noticed)
{
    struct buffer block = {0};
    struct block_view view;
    make(&block);
    for (size_t at = 0; at < block.len; at++)
        for (int bit = 0; bit < 8; bit++) {
            block.data[at] ^= (uint8_t)(1 << bit);
            cr_assert_not(block_open(buffer_bytes(&block), &view), "byte %zu bit %d", at, bit);
            block.data[at] ^= (uint8_t)(1 << bit);
        }
    cr_assert(block_open(buffer_bytes(&block), &view));
    buffer_fini(&block);
}

Test(block, every_truncation_and_extension_is_noticed)
{
    struct buffer block = {0};
    struct block_view view;
    make(&block);
    for (size_t len = 0; len < block.len; len++)
        cr_assert_not(block_open(strid_bytes_of(block.data, len), &view), "%zu bytes", len);
    buffer_put_u8(&block, 0);
    cr_assert_not(block_open(buffer_bytes(&block), &view));
    buffer_fini(&block);
}

Test(block, number_may_be_given_anew)
{
    struct buffer block = {0};
    struct block_view view;
    make(&block);
    block_number(&block, 2000, 1999);
    cr_assert(block_open(buffer_bytes(&block), &view));
    cr_assert(view.number == 2000 && view.synced == 1999 && view.sequence == 77);
    buffer_fini(&block);
}

Test(block, buffer_is_used_again)
{
    struct buffer block = {0};
    struct block_view view;
    make(&block);
    block_begin(&block);
    block_end(&block, 6, 1, 78, 0, 0);
    block_number(&block, 3, 2);
    cr_assert_eq(block.len, BLOCK_HEADER);
    cr_assert(block_open(buffer_bytes(&block), &view));
    cr_assert(view.run == 6 && view.sequence == 78 && view.state_count == 0);
    buffer_fini(&block);
}

/* A checksum says that the bytes are those that were written, not that they make sense. */
Test(block, nonsense_under_a_right_checksum_is_refused_when_it_is_read)
{
    struct buffer block = {0};
    struct block_view view;
    struct key_state key;
    struct key_value value;
    block_begin(&block);
    buffer_put(&block, "\x07\x01\x01\x05nokey", 9); /* no such kind */
    block_end(&block, 1, 0, 1, 0, 1);
    block_number(&block, 1, 0);
    if (block_open(buffer_bytes(&block), &view))
        cr_assert_not(block_next_state(&view, &key, &value));
    static const char *const wrong[] = {
        "\x26\x01\0\0\0\0\x01k",               /* an integer less nine bytes */
        "\x07\x01\0\0\0\0\x01k\0\0\0\0\0\0\0", /* a double less one */
        "\x04\x01\0\0\0\0\x01k",               /* a deletion less one */
    };
    static const size_t lens[] = {8, 15, 8};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        block_begin(&block);
        buffer_put(&block, wrong[i], lens[i]);
        block_end(&block, 1, 0, 1, 0, 1);
        block_number(&block, 1, 0);
        cr_assert(block_open(buffer_bytes(&block), &view));
        cr_assert_not(block_next_state(&view, &key, &value), "entry %zu", i);
    }
    block_begin(&block);
    block_end(&block, 1, 0, 1, 0, 1000000); /* more entries than bytes */
    block_number(&block, 1, 0);
    cr_assert_not(block_open(buffer_bytes(&block), &view));
    block_begin(&block);
    block_end(&block, 1, 0, 1, 1000, 0); /* more progress than bytes */
    block_number(&block, 1, 0);
    cr_assert_not(block_open(buffer_bytes(&block), &view));
    buffer_fini(&block);
}

/* The entry alone, behind an empty block. */
static const uint8_t *pack_key(struct buffer *block, const uint8_t *key, size_t len,
                               uint16_t sub_len, const struct key_value *value)
{
    block_begin(block);
    block_put_state(block,
                    &(struct key_state){
                        .hash = 7, .store = 1, .sub_len = sub_len, .key = strid_bytes_of(key, len)},
                    value);
    return block->data + BLOCK_HEADER;
}

Test(block, same_key_looks_at_every_byte)
{
    enum { LEN_MAX = 40 };
    static const struct key_value plain = {STRID_STATE_I64, {(const uint8_t *)&one, 8}, 0};
    static const struct key_value expiring = {STRID_STATE_ABSENT, {NULL, 0}, 5};
    struct buffer one_block = {0}, other_block = {0};
    uint8_t key[LEN_MAX + 1] = "a key of some length, and a bit more yet";
    for (size_t len = 0; len <= LEN_MAX; len++) {
        const uint8_t *entry = pack_key(&one_block, key, len, 0, &plain);
        cr_assert(block_same_key(entry, pack_key(&other_block, key, len, 0, &expiring)));
        cr_assert_not(block_same_key(entry, pack_key(&other_block, key, len + 1, 0, &plain)));
        if (len >= 2)
            cr_assert_not(block_same_key(entry, pack_key(&other_block, key, len, 1, &plain)));
        for (size_t at = 0; at < len; at++) {
            key[at] ^= 1;
            cr_assert_not(block_same_key(entry, pack_key(&other_block, key, len, 0, &plain)),
                          "byte %zu of %zu", at, len);
            key[at] ^= 1;
        }
    }
    buffer_fini(&one_block);
    buffer_fini(&other_block);
}
