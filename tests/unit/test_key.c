#include <criterion/criterion.h>

#include "state/key.h"

static strid_bytes text(const char *text) { return strid_bytes_of_text(text); }

Test(key, numbers_sort_as_bytes)
{
    static const uint64_t numbers[] = {0, 1, 255, 256, 65535, 65536, UINT64_C(1) << 40, UINT64_MAX};
    uint8_t before[KEY_FIXED_MAX], after[KEY_FIXED_MAX];
    for (size_t i = 1; i < sizeof numbers / sizeof numbers[0]; i++) {
        size_t len = key_put_block(before, numbers[i - 1]);
        cr_assert_eq(key_put_block(after, numbers[i]), len);
        cr_assert_lt(memcmp(before, after, len), 0);
        cr_assert_eq(key_get_u64(after + 1), numbers[i]);
    }
}

Test(key, kinds_begin_with_their_letter)
{
    uint8_t key[KEY_FIXED_MAX];
    cr_assert_eq(key_put_block(key, 1), 9);
    cr_assert_eq(key[0], KEY_BLOCK);
    cr_assert_eq(key_put_table(key, 0x01020304), 6);
    cr_assert(key[0] == 'p' && key[1] == 1);
    cr_assert_eq(key_get_u32(key + 2), 0x01020304);
    cr_assert_eq(key_put_run_progress(key, 5, 7), 10);
    cr_assert(key[0] == 'p' && key[1] == 2);
    cr_assert(key_get_u32(key + 2) == 5 && key_get_u32(key + 6) == 7);
}

Test(key, state_key_reads_back)
{
    static const char *const keys[] = {"", "a", "some longer key of a record"};
    uint8_t encoded[KEY_STATE_HEADER + 64];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct key_state out, key = {.hash = 0xfe123456, .store = 3, .key = text(keys[i])};
        size_t len = key_put_state(encoded, &key);
        cr_assert_eq(encoded[0], 's');
        cr_assert_eq(encoded[1], 0xfe, "the vshard comes first");
        cr_assert(key_get_state(strid_bytes_of(encoded, len), &out));
        cr_assert(out.hash == key.hash && out.store == 3 && strid_bytes_equal(out.key, key.key));
    }
}

Test(key, longest_state_key_reads_back)
{
    static uint8_t bytes[KEY_RECORD_KEY_MAX], encoded[KEY_STATE_MAX];
    memset(bytes, 'x', sizeof bytes);
    struct key_state out, key = {.hash = 1, .store = 1, .key = strid_bytes_of(bytes, sizeof bytes)};
    size_t len = key_put_state(encoded, &key);
    cr_assert_leq(len, sizeof encoded);
    cr_assert(key_get_state(strid_bytes_of(encoded, len), &out));
    cr_assert(strid_bytes_equal(out.key, key.key));
}

Test(key, other_keys_are_no_state_keys)
{
    uint8_t encoded[64];
    struct key_state out;
    size_t len = key_put_state(encoded, &(struct key_state){.store = 1, .key = text("abc")});
    for (size_t cut = 0; cut < KEY_STATE_HEADER; cut++)
        cr_assert_not(key_get_state(strid_bytes_of(encoded, cut), &out), "%zu bytes", cut);
    encoded[0] = KEY_BLOCK;
    cr_assert_not(key_get_state(strid_bytes_of(encoded, len), &out));
}

static void check_value_until(strid_state_kind kind, strid_bytes bytes, int64_t expiry_ms)
{
    struct buffer encoded = {0};
    struct key_value out;
    key_put_value(&encoded,
                  &(struct key_value){.kind = kind, .bytes = bytes, .expiry_ms = expiry_ms});
    cr_assert(key_get_value(buffer_bytes(&encoded), &out));
    cr_assert(out.kind == kind && strid_bytes_equal(out.bytes, bytes));
    cr_assert_eq(out.expiry_ms, expiry_ms);
    for (size_t at = 0; at < encoded.len; at++)
        for (int bit = 0; bit < 8; bit++) {
            encoded.data[at] ^= (uint8_t)(1 << bit);
            cr_assert_not(key_get_value(buffer_bytes(&encoded), &out), "byte %zu", at);
            encoded.data[at] ^= (uint8_t)(1 << bit);
        }
    for (size_t len = 0; len < encoded.len; len++)
        cr_assert_not(key_get_value(strid_bytes_of(encoded.data, len), &out));
    buffer_fini(&encoded);
}

static void check_value(strid_state_kind kind, strid_bytes bytes)
{
    check_value_until(kind, bytes, 0);
    check_value_until(kind, bytes, 1);
    check_value_until(kind, bytes, INT64_MAX);
}

Test(key, expired_from_its_expiry_on)
{
    cr_assert_not(key_is_expired(0, INT64_MAX), "0 is never");
    cr_assert_not(key_is_expired(1000, 999));
    cr_assert(key_is_expired(1000, 1000));
    cr_assert(key_is_expired(1000, 1001));
}

Test(key, values_read_back_and_damage_is_noticed)
{
    int64_t number = -5;
    double real = 0.5;
    check_value(STRID_STATE_BYTES, text("value"));
    check_value(STRID_STATE_BYTES, strid_bytes_of("", 0));
    check_value(STRID_STATE_I64, strid_bytes_of(&number, 8));
    check_value(STRID_STATE_F64, strid_bytes_of(&real, 8));
}

Test(key, number_of_the_wrong_length_is_damaged)
{
    struct buffer encoded = {0};
    struct key_value out;
    key_put_value(&encoded, &(struct key_value){.kind = STRID_STATE_I64, .bytes = text("1234567")});
    cr_assert_not(key_get_value(buffer_bytes(&encoded), &out));
    buffer_fini(&encoded);
}
