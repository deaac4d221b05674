#include <criterion/criterion.h>

#include "base/json.h"
#include "tools/strid/format.h"

static const strid_origin ORIGIN = {"redis://h/s", "orders", 3};

static strid_header headers[] = {
    {{(const uint8_t *)"a", 1}, {(const uint8_t *)"1", 1}},
    {{(const uint8_t *)"b", 1}, {NULL, 0}},
};

static strid_record record_of(void)
{
    return (strid_record){.key = strid_bytes_of_text("k1"),
                          .value = strid_bytes_of_text("v\"1"),
                          .position = {1700000000000u, 5},
                          .timestamp_ms = 1700000000123,
                          .origin = &ORIGIN,
                          .headers = headers,
                          .header_count = 2};
}

static void check(const char *text, const struct format_record *what, const char *expected,
                  size_t len)
{
    struct format format;
    struct buffer out = {0};
    strid_error err = STRID_ERROR_INIT;
    cr_assert_eq(format_parse(&format, text, &err), STRID_OK, "%s", err.message);
    format_put(&format, &out, what);
    cr_assert_eq(out.len, len, "'%s' gives '%.*s'", text, (int)out.len, (const char *)out.data);
    cr_assert_eq(memcmp(out.data, expected, len), 0, "'%s' gives '%.*s'", text, (int)out.len,
                 (const char *)out.data);
    format_fini(&format);
    format_fini(&format);
    buffer_fini(&out);
}

#define CHECK(text, what, expected) check(text, what, expected, sizeof(expected) - 1)

Test(format, every_token_gives_its_part)
{
    strid_record record = record_of();
    struct format_record what = {.record = &record,
                                 .attempts = 4,
                                 .error = strid_bytes_of_text("bad"),
                                 .broker = -1,
                                 .position_pair = true};
    CHECK("%t/%p@%o %T", &what, "orders/3@1700000000000-5 1700000000123");
    CHECK("%k:%K=%s:%S", &what, "k1:2=v\"1:3");
    CHECK("%h|%d|%e", &what, "a=1,b=NULL|4|bad");
    CHECK("%R%s", &what, "\0\0\0\3v\"1");
    CHECK("100%%\\t\\n\\r\\\\\\x00\\x7E", &what, "100%\t\n\r\\\0~");
}

Test(format, what_is_absent_is_told_from_what_is_empty)
{
    strid_record record = record_of();
    record.key = (strid_bytes){0};
    record.value = strid_bytes_of_text("");
    record.timestamp_ms = STRID_TIMESTAMP_NONE;
    record.header_count = 0;
    record.position = (strid_position){0, 7};
    struct format_record what = {.record = &record, .broker = -1};
    CHECK("[%k]%K [%s]%S %T [%h] [%e] %o", &what, "[]-1 []0 -1 [] [] 7");
    what.position_pair = true;
    CHECK("%o", &what, "0-7");
    record.value = (strid_bytes){0};
    CHECK("%R", &what, "\xff\xff\xff\xff");
}

Test(format, an_unknown_token_names_its_column)
{
    static const char *const bad[] = {"ab%q", "ab%", "ab\\", "ab\\q", "ab\\x", "ab\\x1", "ab\\x1g"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct format format;
        strid_error err = STRID_ERROR_INIT;
        cr_assert_eq(format_parse(&format, bad[i], &err), STRID_EINVAL, "%s", bad[i]);
        cr_assert_not_null(strstr(err.message, "column 3 "), "%s", err.message);
        cr_assert_null(format.parts);
    }
}

static void check_json(const struct format_record *what, const char *expected)
{
    struct buffer out = {0};
    format_put_json(&out, what);
    struct json_parser *parser = json_parser_create();
    cr_assert_null(json_validate(parser, buffer_bytes(&out)));
    json_parser_destroy(parser);
    buffer_put_u8(&out, 0);
    cr_assert_str_eq((const char *)out.data, expected);
    buffer_fini(&out);
}

Test(format, envelope_is_that_of_kcat)
{
    strid_record record = record_of();
    record.position = (strid_position){0, 42};
    struct format_record what = {.record = &record, .timestamp_type = "create", .broker = 1};
    check_json(&what, "{\"topic\":\"orders\",\"partition\":3,\"offset\":42,\"tstype\":\"create\","
                      "\"ts\":1700000000123,\"broker\":1,\"headers\":[\"a\",\"1\",\"b\",null],"
                      "\"key\":\"k1\",\"payload\":\"v\\\"1\"}");
}

Test(format, envelope_keeps_what_is_no_text_and_what_is_absent)
{
    strid_record record = record_of();
    headers[0].value = strid_bytes_of("\xff", 1);
    record.header_count = 1;
    record.key = (strid_bytes){0};
    record.value = strid_bytes_of("\xff\x00", 2);
    record.timestamp_ms = STRID_TIMESTAMP_NONE;
    struct format_record what = {.record = &record,
                                 .broker = -1,
                                 .attempts = 2,
                                 .error = strid_bytes_of_text("e"),
                                 .position_pair = true};
    check_json(&what, "{\"topic\":\"orders\",\"partition\":3,\"offset\":\"1700000000000-5\","
                      "\"tstype\":\"unknown\",\"ts\":-1,\"headers\":[\"a\",{\"base64\":\"/w==\"}],"
                      "\"attempts\":2,\"error\":\"e\",\"key\":null,\"payload_base64\":\"/wA=\"}");
}
