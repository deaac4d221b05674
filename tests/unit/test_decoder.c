#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "pipeline/decoder.h"

#include "fake_connectors.h"

static struct definition *definition;
static struct decoder *decoder;
static struct decoded decoded;
static uint8_t *memory; /* exactly the value, and 64 bytes where it is padded */
static strid_error err;

static void setup(void) { definition = definition_create("case", &err); }
static void teardown(void)
{
    free(memory);
    decoder_destroy(decoder);
    definition_destroy(definition);
}

TestSuite(decoder, .init = setup, .fini = teardown);

static void declare(const char *field)
{
    uint32_t index = 0;
    cr_assert_eq(definition_add_field(definition, field, &index, &err), STRID_OK);
}

static void make(const char *format, const char *key, const char *type, bool padded)
{
    cr_assert_eq(definition_set_decode(definition, format, key, type, &err), STRID_OK);
    cr_assert_eq(decoder_create(&definition->decode, padded, &decoder, &err), STRID_OK, "%s",
                 err.message);
}

static void make_text(const char *key, const char *pattern, enum decode_unmatched unmatched)
{
    cr_assert_eq(definition_set_pattern(definition, pattern, unmatched, &err), STRID_OK, "%s",
                 err.message);
    make("text", key, NULL, false);
}

/* The value lies in memory that ends with it, so that a sanitizer sees who reads on. */
static void decode_bytes(const void *value, size_t len, size_t padding)
{
    free(memory);
    memory = malloc(len + padding + (len + padding == 0));
    cr_assert_not_null(memory);
    memset(memory, '}', len + padding);
    memcpy(memory, value, len);
    strid_raw raw = {.key = strid_bytes_of_text("own"), .value = strid_bytes_of(memory, len)};
    decoder_decode(decoder, &raw, &decoded);
}

static void decode(const char *value) { decode_bytes(value, strlen(value), 0); }

static void check_text(strid_bytes found, const char *expected)
{
    cr_assert(found.data != NULL && strid_bytes_equal(found, strid_bytes_of_text(expected)),
              "\"%.*s\" is not \"%s\"", (int)found.len, (const char *)found.data, expected);
}

static void check_decoded(const char *key, const char *type)
{
    cr_assert_null(decoded.fault, "%s", decoded.fault);
    cr_assert_not(decoded.skip);
    check_text(decoded.key, key);
    if (type == NULL)
        cr_assert_eq(decoded.type.len, 0);
    else
        check_text(decoded.type, type);
}

static void check_fault(const char *fault)
{
    cr_assert_not_null(decoded.fault, "expected %s", fault);
    cr_assert_str_eq(decoded.fault, fault);
    cr_assert_null(decoded.key.data);
    cr_assert_not(decoded.skip);
}

Test(decoder, jsonl_finds_key_type_and_fields_in_the_order_of_declaration)
{
    for (size_t padding = 0; padding <= JSON_PADDING; padding += JSON_PADDING) {
        declare("b");
        declare("a");
        declare("none");
        make(NULL, "id", "kind", padding > 0);
        static const char value[] = "{\"a\":1.5,\"kind\":\"order\",\"id\":\"k\\u00e4\",\"b\":7}";
        decode_bytes(value, strlen(value), padding);
        check_decoded("k\xc3\xa4", "order");
        cr_assert(decoded.fields[0].kind == STRID_FIELD_INT && decoded.fields[0].integer == 7);
        cr_assert(decoded.fields[1].kind == STRID_FIELD_REAL && decoded.fields[1].real == 1.5);
        check_text(decoded.fields[1].text, "1.5");
        cr_assert_eq(decoded.fields[2].kind, STRID_FIELD_ABSENT);
        decoder_destroy(decoder);
        decoder = NULL;
    }
}

Test(decoder, jsonl_without_a_key_takes_the_records_own)
{
    make(NULL, NULL, NULL, false);
    decode("{\"type\":\"t\",\"key\":\"k\"}");
    check_decoded("own", "t");
    decode("{}");
    check_decoded("own", NULL);
}

Test(decoder, a_declared_field_may_be_key_and_type_too)
{
    declare("k");
    make(NULL, "k", "k", false);
    decode("{\"k\":\"x\"}");
    check_decoded("x", "x");
    check_text(decoded.fields[0].text, "x");
}

Test(decoder, a_key_that_is_no_string_is_its_text)
{
    static const char *const values[][2] = {
        {"{\"k\":5}", "5"},
        {"{\"k\":-1.50e3}", "-1.50e3"},
        {"{\"k\":12345678901234567890123}", "12345678901234567890123"},
        {"{\"k\":true}", "true"},
        {"{\"k\":\"\"}", ""},
        {"{\"k\": [1, 2] }", "[1, 2]"}};
    make(NULL, "k", NULL, false);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        decode(values[i][0]);
        check_decoded(values[i][1], NULL);
    }
}

Test(decoder, a_pointer_reaches_into_objects_and_arrays)
{
    declare("/list/1");
    make(NULL, "/who/a~1b", NULL, false);
    decode("{\"who\":{\"a/b\":\"x\"},\"list\":[1,2]}");
    check_decoded("x", NULL);
    cr_assert_eq(decoded.fields[0].integer, 2);
    decode("{\"who\":{\"a\":\"x\"}}");
    check_fault("key_missing");
}

Test(decoder, a_record_without_its_key_is_a_fault)
{
    make(NULL, "k", NULL, false);
    decode("{\"type\":\"t\"}");
    check_fault("key_missing");
    decode("{\"k\":null}");
    check_fault("key_missing");
    decode("{}");
    check_fault("key_missing");
    decode("{\"k\":\"x\"}"); /* the fault before leaves nothing */
    check_decoded("x", NULL);
}

Test(decoder, a_key_is_limited)
{
    enum { LONGEST = 64 * 1024 };
    char *value = malloc(LONGEST + 32);
    cr_assert_not_null(value);
    make(NULL, "k", NULL, false);
    for (size_t len = LONGEST; len <= LONGEST + 1; len++) {
        memcpy(value, "{\"k\":\"", 6);
        memset(value + 6, 'x', len);
        memcpy(value + 6 + len, "\"}", 2);
        decode_bytes(value, len + 8, 0);
        if (len > LONGEST)
            check_fault("key_too_long");
        else
            cr_assert(decoded.fault == NULL && decoded.key.len == LONGEST);
    }
    free(value);
    decoder_destroy(decoder);
    make("raw", NULL, NULL, false); /* the record's own is limited, too */
    strid_raw raw = {.key = strid_bytes_of(memory, LONGEST + 1)};
    decoder_decode(decoder, &raw, &decoded);
    check_fault("key_too_long");
}

Test(decoder, what_is_no_json_object_is_a_fault)
{
    static const char *const faults[][2] = {{"", "not_json"},
                                            {"this is no json", "not_json"},
                                            {"{\"k\":\"x\"", "not_json"},
                                            {"{\"k\":\"x\"} {}", "not_json"},
                                            {"{\"k\":01}", "not_json"},
                                            {"{\"k\":\"\xff\"}", "not_utf8"},
                                            {"[1]", "not_object"},
                                            {"5", "not_object"},
                                            {"null", "not_object"}};
    make(NULL, "k", NULL, false);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        decode(faults[i][0]);
        check_fault(faults[i][1]);
    }
    decode_bytes("{\"k\":\"a\0b\"}", 11, 0);
    check_fault("not_json");
    decode("{\"k\":\"x\"}");
    check_decoded("x", NULL);
}

Test(decoder, nesting_is_limited)
{
    char value[8192] = "{\"k\":\"x\",\"d\":";
    size_t used = strlen(value);
    memset(value + used, '[', 2000);
    memset(value + used + 2000, ']', 2000);
    memcpy(value + used + 4000, "}", 2);
    make(NULL, "k", NULL, false);
    decode(value);
    check_fault("too_deep");
    memset(value + used, '[', 20);
    memset(value + used + 20, ']', 20);
    memcpy(value + used + 40, "}", 2);
    decode(value);
    check_decoded("x", NULL);
}

Test(decoder, text_without_a_pattern_is_a_line)
{
    make("text", NULL, NULL, false);
    decode("any \xff line");
    check_decoded("own", NULL);
}

Test(decoder, text_is_taken_apart_by_named_groups)
{
    declare("n");
    declare("none");
    make_text("who", "(?<type>[a-z]+) (?<who>\\S+)( (?<n>[0-9]+))?(?<none>zzz)?",
              DECODE_UNMATCHED_DLQ);
    decode("12: order \xff\xc3 12 x");
    check_decoded("\xff\xc3", "order");
    cr_assert_eq(decoded.fields[0].kind, STRID_FIELD_STRING);
    check_text(decoded.fields[0].text, "12");
    cr_assert_eq(decoded.fields[1].kind, STRID_FIELD_ABSENT);
    decode("visit b");
    check_decoded("b", "visit");
    cr_assert_eq(decoded.fields[0].kind, STRID_FIELD_ABSENT);
    decode_bytes("a\0b c", 5, 0);
    check_decoded("c", "b");
}

Test(decoder, a_pattern_without_a_group_type_gives_the_empty_type)
{
    make_text("k", "(?<k>.+)", DECODE_UNMATCHED_DLQ);
    decode("x");
    check_decoded("x", NULL);
}

Test(decoder, a_key_group_that_took_no_part_is_missing)
{
    make_text("k", "a(?<k>b)?", DECODE_UNMATCHED_SKIP);
    decode("a");
    check_fault("key_missing");
    decode("ab");
    check_decoded("b", NULL);
}

Test(decoder, lines_that_do_not_match_are_faults_or_skipped)
{
    make_text("k", "^x(?<k>.)", DECODE_UNMATCHED_DLQ);
    decode("abc");
    check_fault("unmatched");
    decode("");
    check_fault("unmatched");
    decoder_destroy(decoder);
    make_text("k", "^x(?<k>.)", DECODE_UNMATCHED_SKIP);
    decode("abc");
    cr_assert(decoded.skip && decoded.fault == NULL);
    decode("xy");
    check_decoded("y", NULL);
}

/* Nobody knows whether such a line matches, so it may not be skipped. */
Test(decoder, a_line_that_is_too_costly_is_a_fault_even_where_lines_are_skipped)
{
    char line[64];
    memset(line, 'a', sizeof line);
    make_text("k", "^(?<k>(a+)+)+$", DECODE_UNMATCHED_SKIP);
    line[sizeof line - 1] = 'b';
    decode_bytes(line, sizeof line, 0);
    check_fault("pattern_limit");
    decode("aaa");
    check_decoded("aaa", NULL);
}

Test(decoder, raw_values_are_not_looked_into)
{
    make("raw", NULL, NULL, false);
    decode("{\"type\":\"t\"");
    check_decoded("own", NULL);
}

Test(decoder, a_tombstone_has_no_fields_and_is_no_fault)
{
    static const char *const formats[] = {"jsonl", "text", "raw"};
    for (size_t i = 0; i < 3; i++) {
        make(formats[i], NULL, NULL, false);
        strid_raw raw = {.key = strid_bytes_of_text("own"), .value = strid_bytes_of(NULL, 0)};
        decoder_decode(decoder, &raw, &decoded);
        check_decoded("own", NULL);
        decoder_destroy(decoder);
        decoder = NULL;
    }
    declare("a");
    make("jsonl", "k", NULL, false);
    decode("{\"k\":\"x\",\"a\":1}");
    strid_raw raw = {.key = strid_bytes_of_text("own"), .value = strid_bytes_of(NULL, 0)};
    decoder_decode(decoder, &raw, &decoded);
    check_fault("key_missing"); /* and not the key of the record before */
    cr_assert_eq(decoded.fields[0].kind, STRID_FIELD_ABSENT);
}

Test(decoder, a_fault_of_the_source_stays)
{
    make(NULL, NULL, NULL, false);
    strid_raw raw = {.value = strid_bytes_of_text("{}"), .fault = "line_too_long"};
    decoder_decode(decoder, &raw, &decoded);
    check_fault("line_too_long");
}

Test(decoder, a_bad_pattern_makes_no_decoder)
{
    char pattern[] = "a(b";
    struct decode_definition bad = {.format = DECODE_TEXT, .pattern = pattern};
    cr_assert_eq(decoder_create(&bad, false, &decoder, &err), STRID_ECONFIG);
    cr_assert_null(decoder);
    cr_assert_not_null(strstr(err.message, "the pattern is no PCRE2 pattern"));
}
