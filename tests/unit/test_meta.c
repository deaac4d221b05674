#include <criterion/criterion.h>

#include "state/meta.h"

static strid_bytes text(const char *text) { return strid_bytes_of_text(text); }

Test(meta, key_has_kind_and_name)
{
    struct buffer key = {0};
    meta_key(&key, "store", text("spent"));
    cr_assert(strid_bytes_equal(buffer_bytes(&key), text("m/store/spent")));
    meta_key(&key, "through", strid_bytes_of(NULL, 0));
    cr_assert(strid_bytes_equal(buffer_bytes(&key), text("m/through")));
    meta_key_number(&key, "low", 0x01020304, 4);
    cr_assert(strid_bytes_equal(buffer_bytes(&key), strid_bytes_of("m/low/\1\2\3\4", 10)));
    buffer_fini(&key);
}

Test(meta, key_is_of_one_kind_only)
{
    strid_bytes name;
    cr_assert(meta_key_is(text("m/store/a/b"), "store", &name));
    cr_assert(strid_bytes_equal(name, text("a/b")), "names may hold slashes");
    cr_assert(meta_key_is(text("m/through"), "through", &name));
    cr_assert_null(name.data);
    cr_assert_not(meta_key_is(text("m/stores/a"), "store", &name));
    cr_assert_not(meta_key_is(text("m/sto"), "store", &name));
    cr_assert_not(meta_key_is(text("x/store/a"), "store", &name));
    cr_assert_not(meta_key_is(text(""), "store", &name));
}

Test(meta, value_reads_back_and_damage_is_noticed)
{
    struct buffer value = {0};
    meta_value_begin(&value);
    buffer_put_u32(&value, 7);
    buffer_put_u64(&value, 1234567890123);
    meta_value_end(&value);
    struct cursor cursor = meta_value_read(buffer_bytes(&value));
    cr_assert_eq(cursor_u32(&cursor), 7);
    cr_assert_eq(cursor_u64(&cursor), 1234567890123);
    cr_assert(!cursor.failed && cursor.at == cursor.end, "the checksum is no part of the value");
    for (size_t at = 0; at < value.len; at++) {
        value.data[at] ^= 0x10;
        cr_assert(meta_value_read(buffer_bytes(&value)).failed, "byte %zu", at);
        value.data[at] ^= 0x10;
    }
    for (size_t len = 0; len < value.len; len++)
        cr_assert(meta_value_read(strid_bytes_of(value.data, len)).failed, "%zu bytes", len);
    buffer_fini(&value);
}
