#include <criterion/criterion.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

/* A document with the padding that json_extract reads, freed by the caller. */
static char *padded(const char *text)
{
    size_t len = strlen(text);
    char *copy = calloc(1, len + JSON_PADDING);
    cr_assert_not_null(copy);
    memcpy(copy, text, len);
    return copy;
}

static const char *extract(const char *text, const char *const *names, uint32_t count,
                           strid_field *fields, char **document, struct json_parser **parser)
{
    *document = padded(text);
    *parser = json_parser_create();
    return json_extract(*parser, strid_bytes_of(*document, strlen(text)), names, count, fields);
}

/* Asserts that the field `name` of `text` is of `kind` and has the text `expected`. */
static strid_field check_field(const char *text, const char *name, strid_field_kind kind,
                               const char *expected)
{
    strid_field field;
    char *document = NULL;
    struct json_parser *parser = NULL;
    cr_assert_null(extract(text, &name, 1, &field, &document, &parser), "%s", text);
    cr_assert_eq(field.kind, kind, "%s: %s is a %d", text, name, field.kind);
    cr_assert(strid_bytes_equal(field.text, strid_bytes_of_text(expected)), "%s: %s is %.*s", text,
              name, (int)field.text.len, (const char *)field.text.data);
    json_parser_destroy(parser);
    free(document);
    return field;
}

static void check_fault(const char *text, const char *expected)
{
    static const char *const names[] = {"a"};
    strid_field field;
    char *document = NULL;
    struct json_parser *parser = NULL;
    const char *fault = extract(text, names, 1, &field, &document, &parser);
    cr_assert(fault != NULL && strcmp(fault, expected) == 0, "%s: %s", text,
              fault == NULL ? "no fault" : fault);
    json_parser_destroy(parser);
    free(document);
}

Test(json, numbers_keep_the_text_they_were_written_with)
{
    cr_assert_eq(check_field("{\"a\": 1.0 }", "a", STRID_FIELD_REAL, "1.0").real, 1.0);
    cr_assert_eq(check_field("{\"a\":1e3}", "a", STRID_FIELD_REAL, "1e3").real, 1000.0);
    strid_field zero = check_field("{\"a\":-0\n}", "a", STRID_FIELD_INT, "-0");
    cr_assert(zero.integer == 0 && signbit(zero.real));
    strid_field most =
        check_field("{\"a\":9223372036854775807}", "a", STRID_FIELD_INT, "9223372036854775807");
    cr_assert_eq(most.integer, INT64_MAX);
    strid_field least =
        check_field("{\"a\":-9223372036854775808}", "a", STRID_FIELD_INT, "-9223372036854775808");
    cr_assert_eq(least.integer, INT64_MIN);
    cr_assert_eq(least.real, -9223372036854775808.0);
}

Test(json, numbers_that_fit_no_integer_or_double_are_valid)
{
    cr_assert_eq(
        check_field("{\"a\":9223372036854775808}", "a", STRID_FIELD_REAL, "9223372036854775808")
            .real,
        9223372036854775808.0);
    cr_assert_eq(check_field("{\"b\":[18446744073709551616],\"a\":123456789012345678901}", "a",
                             STRID_FIELD_REAL, "123456789012345678901")
                     .real,
                 123456789012345678901.0);
    cr_assert_eq(check_field("{\"a\":1e400}", "a", STRID_FIELD_REAL, "1e400").real, HUGE_VAL);
    cr_assert_eq(check_field("{\"a\":-1E+400}", "a", STRID_FIELD_REAL, "-1E+400").real, -HUGE_VAL);
    cr_assert_eq(check_field("{\"a\":1e-400}", "a", STRID_FIELD_REAL, "1e-400").real, 0.0);
    check_fault("{\"a\":123456789012345678901x}", "not_json");
    check_fault("{\"a\":123456789012345678901,}", "not_json");
    check_fault("{\"a\":0123456789012345678901}", "not_json");
}

/* The exponent alone does not say whether a number is too large for a double or too small. */
Test(json, number_out_of_range_is_infinite_or_zero_as_it_is_large_or_small)
{
    static const struct {
        const char *before;
        const char *behind; /* of 400 zeros */
        double real;
    } numbers[] = {
        {"1", "", HUGE_VAL},
        {"1", "e-10", HUGE_VAL},
        {"-25", ".5e-10", -HUGE_VAL},
        {"1", "e-400", 1.0},
        {"0.", "1", 0.0},
        {"0.", "1e10", 0.0},
        {"-0.", "1E+10", -0.0},
        {"0.", "1e401", 1.0},
        {"0.", "1e+900", HUGE_VAL},
        {"1", "e-900", 0.0},
        {"1", "e-9999999999999999999", 0.0},
        {"0.", "1e9999999999999999999", HUGE_VAL},
        {"0.", "e-9999999999999999999", 0.0},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char text[512];
        strid_field field;
        (void)snprintf(text, sizeof text, "%s%0400d%s", numbers[i].before, 0, numbers[i].behind);
        cr_assert(json_parse_number(strid_bytes_of_text(text), &field), "%s", text);
        cr_assert(field.real == numbers[i].real &&
                      !signbit(field.real) == !signbit(numbers[i].real),
                  "%s is %g", text, field.real);
    }
}

Test(json, strings_are_unescaped)
{
    check_field("{\"a\":\"plain\"}", "a", STRID_FIELD_STRING, "plain");
    check_field("{\"a\":\"\"}", "a", STRID_FIELD_STRING, "");
    check_field("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "a", STRID_FIELD_STRING,
                "\"\\/\b\f\n\r\t");
    check_field("{\"a\":\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"}", "a", STRID_FIELD_STRING,
                "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    check_field("{\"x\":\"\\\"a\\\":1\",\"a\":\"b\"}", "a", STRID_FIELD_STRING, "b");
    check_fault("{\"a\":\"\\ud800\"}", "not_json");
    check_fault("{\"a\":\"\\udc00\"}", "not_json");
    check_fault("{\"a\":\"\\x\"}", "not_json");
}

Test(json, other_kinds)
{
    check_field("{\"a\":null}", "a", STRID_FIELD_NULL, "null");
    check_field("{\"a\":true }", "a", STRID_FIELD_BOOL, "true");
    check_field("{\"a\":false}", "a", STRID_FIELD_BOOL, "false");
    check_field("{\"a\": {\"b\": [1, 2]} , \"c\":1}", "a", STRID_FIELD_OTHER, "{\"b\": [1, 2]}");
    check_field("{\"a\":[]}", "a", STRID_FIELD_OTHER, "[]");
    check_field("{\"b\":{\"a\":1}}", "a", STRID_FIELD_ABSENT, "");
    check_field("{}", "a", STRID_FIELD_ABSENT, "");
    check_field("{\"A\":1}", "a", STRID_FIELD_ABSENT, "");
}

Test(json, names_match_unescaped_and_the_first_wins)
{
    check_field("{\"\\u0061\":1}", "a", STRID_FIELD_INT, "1");
    check_field("{\"a\":1,\"a\":2}", "a", STRID_FIELD_INT, "1");
    check_field("{\"\":1}", "", STRID_FIELD_INT, "1");
    check_field("{\"a \":1}", "a ", STRID_FIELD_INT, "1");
}

Test(json, names_with_the_same_beginning_are_told_apart)
{
    const char *text = "{\"1234567\":1,\"12345678\":2,\"123456789\":3,\"12345678x\":4,\"\":5}";
    (void)check_field(text, "1234567", STRID_FIELD_INT, "1");
    (void)check_field(text, "12345678", STRID_FIELD_INT, "2");
    (void)check_field(text, "123456789", STRID_FIELD_INT, "3");
    (void)check_field(text, "12345678x", STRID_FIELD_INT, "4");
    (void)check_field(text, "", STRID_FIELD_INT, "5");
    (void)check_field(text, "123456", STRID_FIELD_ABSENT, "");
    (void)check_field(text, "12345678y", STRID_FIELD_ABSENT, "");
    (void)check_field("{\"a\":{\"b\":1},\"b\":[2],\"c\":3}", "c", STRID_FIELD_INT, "3");
}

Test(json, prepared_names_hold_for_many_documents_and_until_others_are_looked_up)
{
    static const char *const names[] = {"a", "/b/0"}, *const others[] = {"c"};
    static const char document[2][96] = {"{\"a\":1,\"b\":[2]}", "{\"b\":[4],\"a\":3}"};
    static const char *const expected[2][2] = {{"1", "2"}, {"3", "4"}};
    struct json_parser *parser = json_parser_create();
    strid_field fields[2], other;
    json_prepare(parser, names, 2);
    for (int i = 0; i < 2; i++) {
        strid_bytes text = strid_bytes_of(document[i], strlen(document[i]));
        cr_assert_null(json_extract_prepared(parser, text, fields));
        for (int j = 0; j < 2; j++)
            cr_assert(strid_bytes_equal(fields[j].text, strid_bytes_of_text(expected[i][j])));
    }
    strid_bytes text = strid_bytes_of(document[0], strlen(document[0]));
    cr_assert_null(json_extract(parser, text, others, 1, &other));
    cr_assert_eq(other.kind, STRID_FIELD_ABSENT);
    json_parser_destroy(parser);
}

Test(json, pointers_reach_into_objects_and_arrays)
{
    static const char text[] =
        "{\"a\":{\"b/c\":[10,{\"d~e\":\"x\"}],\"\\u0066\":2},\"1\":3,\"a/b\":4}";
    check_field(text, "/a/b~1c/1/d~0e", STRID_FIELD_STRING, "x");
    check_field(text, "/a/b~1c/0", STRID_FIELD_INT, "10");
    check_field(text, "/a/f", STRID_FIELD_INT, "2");
    check_field(text, "/1", STRID_FIELD_INT, "3");
    check_field(text, "/a/b~1c/2", STRID_FIELD_ABSENT, "");
    check_field(text, "/a/b~1c/01", STRID_FIELD_ABSENT, "");
    check_field(text, "/a/b~1c/-", STRID_FIELD_ABSENT, "");
    check_field(text, "/1/x", STRID_FIELD_ABSENT, "");
    check_field(text, "/a/b", STRID_FIELD_ABSENT, "");
    check_field("{\"a\":{}}", "/a/b", STRID_FIELD_ABSENT, "");
}

Test(json, many_names_in_one_pass_and_names_given_twice)
{
    static const char *const names[] = {"b", "a", "/c/d", "b", "none"};
    strid_field fields[5];
    char *document = NULL;
    struct json_parser *parser = NULL;
    cr_assert_null(extract("{\"a\":\"x\\n\",\"b\":\"\\ty\",\"c\":{\"d\":\"\\\\\"}}", names, 5,
                           fields, &document, &parser));
    cr_assert(strid_bytes_equal(fields[0].text, strid_bytes_of_text("\ty")));
    cr_assert(strid_bytes_equal(fields[1].text, strid_bytes_of_text("x\n")));
    cr_assert(strid_bytes_equal(fields[2].text, strid_bytes_of_text("\\")));
    cr_assert(strid_bytes_equal(fields[3].text, strid_bytes_of_text("\ty")));
    cr_assert_eq(fields[4].kind, STRID_FIELD_ABSENT);
    json_parser_destroy(parser);
    free(document);
}

Test(json, strings_longer_than_any_before_stay_readable)
{
    static const char *const names[] = {"a", "b"};
    enum { LEN = 100000 };
    struct buffer text = {0};
    buffer_printf(&text, "{\"a\":\"\\n");
    for (int i = 0; i < LEN; i++)
        buffer_put_u8(&text, 'x');
    buffer_printf(&text, "\",\"b\":\"\\t");
    for (int i = 0; i < LEN; i++)
        buffer_put_u8(&text, 'y');
    buffer_printf(&text, "\"}");
    size_t len = text.len;
    memset(buffer_reserve(&text, JSON_PADDING), 0, JSON_PADDING);
    strid_field fields[2];
    struct json_parser *parser = json_parser_create();
    cr_assert_null(json_extract(parser, strid_bytes_of(text.data, len), names, 2, fields));
    cr_assert(fields[0].text.len == LEN + 1 && fields[1].text.len == LEN + 1);
    cr_assert(fields[0].text.data[0] == '\n' && fields[0].text.data[LEN] == 'x');
    cr_assert(fields[1].text.data[0] == '\t' && fields[1].text.data[LEN] == 'y');
    json_parser_destroy(parser);
    buffer_fini(&text);
}

Test(json, faults)
{
    check_fault("", "not_json");
    check_fault("   ", "not_json");
    check_fault("[1]", "not_object");
    check_fault("\"a\"", "not_object");
    check_fault("{\"a\":1", "not_json");
    check_fault("{\"a\":1}}", "not_json");
    check_fault("{\"a\":1} {}", "not_json");
    check_fault("{\"a\":01}", "not_json");
    check_fault("{\"b\":nul}", "not_json");
    check_fault("{\"b\":\"\t\"}", "not_json");
    check_fault("\xef\xbb\xbf{\"a\":1}", "not_json");
    check_fault("{\"b\":\"\xff\"}", "not_utf8");
    check_fault("{\"b\":\"\xed\xa0\x80\"}", "not_utf8");
}

Test(json, depth_64_is_the_deepest)
{
    for (int depth = 64; depth <= 65; depth++) {
        struct buffer text = {0};
        for (int i = 0; i < depth; i++)
            buffer_printf(&text, "{\"a\":");
        buffer_printf(&text, "1");
        for (int i = 0; i < depth; i++)
            buffer_put_u8(&text, '}');
        struct json_parser *parser = json_parser_create();
        const char *fault = json_validate(parser, buffer_bytes(&text));
        cr_assert(depth == 64 ? fault == NULL : strcmp(fault, "too_deep") == 0, "%d", depth);
        json_parser_destroy(parser);
        buffer_fini(&text);
    }
}

Test(json, validate_takes_any_value)
{
    static const char *const good[] = {
        "1", "\"a\"", "[1,2]", " {} ", "null", "1e999", "123456789012345678901234567890"};
    struct json_parser *parser = json_parser_create();
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_assert_null(json_validate(parser, strid_bytes_of_text(good[i])), "%s", good[i]);
    cr_assert_str_eq(json_validate(parser, strid_bytes_of_text("{")), "not_json");
    cr_assert_str_eq(json_validate(parser, strid_bytes_of(NULL, 0)), "not_json");
    cr_assert_str_eq(json_validate(parser, strid_bytes_of("\"\0\"", 3)), "not_json");
    json_parser_destroy(parser);
}

static void check_written(struct buffer *out, const char *expected)
{
    cr_assert(strid_bytes_equal(buffer_bytes(out), strid_bytes_of_text(expected)), "%.*s",
              (int)out->len, (const char *)out->data);
    buffer_clear(out);
}

Test(json, strings_are_escaped)
{
    struct buffer out = {0};
    json_put_text(&out, "a\"\\\b\f\n\r\t\x01\x1f/\x7f\xc3\xa9");
    check_written(&out, "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f/\x7f\xc3\xa9\"");
    json_put_string(&out, strid_bytes_of(NULL, 0));
    check_written(&out, "\"\"");
    json_put_string(&out, strid_bytes_of("a\0b", 3));
    check_written(&out, "\"a\\u0000b\"");
    json_put_member_bytes(&out, "value", strid_bytes_of_text("ok"));
    check_written(&out, "\"value\": \"ok\"");
    json_put_member_bytes(&out, "value", strid_bytes_of("\xff\xfe", 2));
    check_written(&out, "\"value_base64\": \"//4=\"");
    buffer_fini(&out);
}

Test(json, numbers_are_written_shortest)
{
    struct buffer out = {0};
    json_put_i64(&out, INT64_MIN);
    check_written(&out, "-9223372036854775808");
    json_put_i64(&out, 0);
    check_written(&out, "0");
    json_put_i64(&out, INT64_MAX);
    check_written(&out, "9223372036854775807");
    json_put_f64(&out, 0.1);
    check_written(&out, "0.1");
    json_put_f64(&out, 0.1 + 0.2);
    check_written(&out, "0.30000000000000004");
    json_put_f64(&out, DBL_MAX);
    check_written(&out, "1.7976931348623157e+308");
    json_put_f64(&out, (double)NAN);
    check_written(&out, "null");
    json_put_f64(&out, -HUGE_VAL);
    check_written(&out, "null");
    buffer_fini(&out);
}

Test(json, minified_has_no_space_outside_strings)
{
    struct buffer out = {0};
    json_put_minified(&out, strid_bytes_of_text(" { \"a b\\\" \" : [ 1 ,\n\t2 ]\r\n} "));
    check_written(&out, "{\"a b\\\" \":[1,2]}");
    buffer_fini(&out);
}

Test(json, base64_reads_back)
{
    static const char *const texts[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const coded[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    static const char *const bad[] = {"Zg", "Zg=", "Z===", "Z!==", "=Zg=", "Zg==Zg=="};
    struct buffer out = {0};
    for (size_t i = 0; i < 7; i++) {
        json_put_base64(&out, strid_bytes_of_text(texts[i]));
        check_written(&out, coded[i]);
        cr_assert(json_base64_decode(&out, strid_bytes_of_text(coded[i])));
        check_written(&out, texts[i]);
    }
    buffer_put_u8(&out, 'x');
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(!json_base64_decode(&out, strid_bytes_of_text(bad[i])), "%s", bad[i]);
    check_written(&out, "x");
    buffer_fini(&out);
}

Test(json, parse_number_takes_json_numbers_only)
{
    static const char *const bad[] = {"", "-", "1.", ".5", "1e", "+1", "01", "1 ", "0x1", "nan"};
    strid_field field;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(!json_parse_number(strid_bytes_of_text(bad[i]), &field), "%s", bad[i]);
    cr_assert(json_parse_number(strid_bytes_of_text("-12.5e-1"), &field));
    cr_assert(field.kind == STRID_FIELD_REAL && field.real == -1.25);
    cr_assert(json_parse_number(strid_bytes_of_text("42"), &field));
    cr_assert(field.kind == STRID_FIELD_INT && field.integer == 42 && field.real == 42.0);
}
