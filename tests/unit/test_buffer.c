#include <criterion/criterion.h>

#include "base/buffer.h"
#include "base/crc32c.h"

Test(buffer, varint_reads_back_what_was_written)
{
    static const uint64_t values[] = {0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX};
    struct buffer buffer = {0};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        buffer_put_varint(&buffer, values[i]);
    struct cursor cursor = cursor_of(buffer_bytes(&buffer));
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        cr_assert_eq(cursor_varint(&cursor), values[i]);
    cr_assert(!cursor.failed && cursor.at == cursor.end);
    buffer_fini(&buffer);
}

Test(buffer, cursor_fails_beyond_the_end_and_stays_failed)
{
    static const uint8_t bytes[] = {0x80, 0x80};
    struct cursor cursor = cursor_of(strid_bytes_of(bytes, 2));
    cr_assert_eq(cursor_varint(&cursor), 0);
    cr_assert(cursor.failed);
    cr_assert_eq(cursor_u64(&cursor), 0);
    cr_assert(cursor.failed);
}

Test(buffer, varint_of_eleven_bytes_is_refused)
{
    static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0x01};
    struct cursor cursor = cursor_of(strid_bytes_of(bytes, sizeof bytes));
    (void)cursor_varint(&cursor);
    cr_assert(cursor.failed);
}

Test(crc32c, matches_the_vectors_of_rfc_3720)
{
    uint8_t zeros[32] = {0};
    cr_assert_eq(crc32c(0, zeros, 32), 0x8a9136aau);
    cr_assert_eq(crc32c(0, "123456789", 9), 0xe3069283u);
    cr_assert_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

Test(buffer, puts_texts_and_numbers)
{
    struct buffer buffer = {0};
    buffer_put_text(&buffer, "");
    buffer_put_decimal(&buffer, 0);
    buffer_put_text(&buffer, "-");
    buffer_put_decimal(&buffer, 1090);
    buffer_put_text(&buffer, "-");
    buffer_put_decimal(&buffer, UINT64_MAX);
    cr_assert(strid_bytes_equal(buffer_bytes(&buffer),
                                strid_bytes_of_text("0-1090-18446744073709551615")));
    buffer_fini(&buffer);
}
