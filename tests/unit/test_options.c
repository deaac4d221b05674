#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pipeline/options.h"
#include "pipeline/url.h"

#include "fake_connectors.h"

static const strid_option required_table[] = {
    {.name = "store", .type = STRID_OPTION_STRING, .flags = STRID_OPTION_REQUIRED}, {0}};

static struct options options;
static strid_error err;

static void setup(void) { options_init(&options, fake_table, sizeof(struct fake_options)); }
static void teardown(void) { options_fini(&options); }

TestSuite(options, .init = setup, .fini = teardown);

static void check_refused(const char *name, const char *value, const char *message)
{
    cr_assert_eq(options_put(&options, name, value, &err), STRID_ECONFIG, "%s=%s", name, value);
    cr_assert_str_eq(err.message, message);
}

Test(options, fallbacks_are_set_for_what_was_not_given)
{
    cr_assert_eq(options_finish(&options, &err), STRID_OK);
    const struct fake_options *values = options.values;
    cr_assert_str_eq(values->text, "none");
    cr_assert_eq(values->number, 7);
    cr_assert(!values->flag);
    cr_assert_eq(values->size, 1024);
    cr_assert_eq(values->time, 1000);
    cr_assert(isnan(values->real));
    cr_assert_eq(values->word, 1);
    cr_assert_null(values->secret);
}

Test(options, every_type_is_put)
{
    static const char *const puts[][2] = {{"text", "a b"},   {"number", "100"}, {"flag", "true"},
                                          {"size", "64KiB"}, {"time", "1m"},    {"real", "-2.5e1"},
                                          {"word", "first"}, {"secret", "x"}};
    for (size_t i = 0; i < sizeof puts / sizeof puts[0]; i++)
        cr_assert_eq(options_put(&options, puts[i][0], puts[i][1], &err), STRID_OK);
    cr_assert_eq(options_finish(&options, &err), STRID_OK);
    const struct fake_options *values = options.values;
    cr_assert_str_eq(values->text, "a b");
    cr_assert_eq(values->number, 100);
    cr_assert(values->flag);
    cr_assert_eq(values->size, 65536);
    cr_assert_eq(values->time, 60000);
    cr_assert_eq(values->real, -25.0);
    cr_assert_eq(values->word, 0);
    cr_assert_str_eq(values->secret, "x");
}

Test(options, unknown_name_names_the_nearest)
{
    check_refused("numbre", "1", "unknown option \"numbre\"; did you mean \"number\"?");
    check_refused("Text", "1", "unknown option \"Text\"; did you mean \"text\"?");
    check_refused("tst", "1", /* two of three letters are another word */
                  "unknown option \"tst\"; known are text, number, flag, size, time, real, word, "
                  "secret");
    check_refused("zzzzzzzzz", "1",
                  "unknown option \"zzzzzzzzz\"; known are text, number, flag, size, time, real, "
                  "word, secret");
}

Test(options, wrong_types_are_refused)
{
    check_refused("number", "1x", "\"number\": expected a whole number, got \"1x\"");
    options.given = 0;
    check_refused("number", "", "\"number\": expected a whole number, got \"\"");
    options.given = 0;
    check_refused("number", "9223372036854775808",
                  "\"number\": expected a whole number, got \"9223372036854775808\"");
    check_refused("flag", "yes", "\"flag\": expected true or false, got \"yes\"");
    check_refused("size", "1k", "\"size\": expected a size such as 512, 64KiB or 1GiB, got \"1k\"");
    check_refused("time", "5",
                  "\"time\": expected a duration such as 100ms, 30s, 5m, 1h or 7d, got \"5\"");
    check_refused("real", "much", "\"real\": expected a number such as 2 or 0.5, got \"much\"");
    check_refused("word", "frist",
                  "\"word\": expected one of first, second, got \"frist\"; did you mean "
                  "\"first\"?");
    options.given = 0;
    check_refused("word", "qqqqqq", "\"word\": expected one of first, second, got \"qqqqqq\"");
}

Test(options, bounds_are_kept)
{
    check_refused("number", "0", "\"number\": 0 is out of bounds, expected 1 to 100");
    options.given = 0;
    check_refused("number", "101", "\"number\": 101 is out of bounds, expected 1 to 100");
    check_refused("size", "2MiB", "\"size\": 2MiB is out of bounds, expected 1 to 1MiB");
    check_refused("time", "2m", "\"time\": 2m is out of bounds, expected 10ms to 1m");
    options.given = 0;
    cr_assert_eq(options_put(&options, "number", "1", &err), STRID_OK);
}

Test(options, the_extremes_of_an_integer_are_read)
{
    static const strid_option table[] = {{.name = "n", .type = STRID_OPTION_INT}, {0}};
    struct options wide;
    options_init(&wide, table, sizeof(int64_t));
    cr_assert_eq(options_put(&wide, "n", "-9223372036854775808", &err), STRID_OK);
    cr_assert_eq(*(int64_t *)wide.values, INT64_MIN);
    wide.given = 0;
    cr_assert_eq(options_put(&wide, "n", "9223372036854775807", &err), STRID_OK);
    cr_assert_eq(*(int64_t *)wide.values, INT64_MAX);
    options_fini(&wide);
}

static strid_status no_zero(const char *name, const char *value, strid_error *at)
{
    return strcmp(value, "0") == 0 ? error_set(at, STRID_ECONFIG, "test", "%s is 0", name)
                                   : STRID_OK;
}

Test(options, properties_are_kept_in_order_and_checked_by_their_owner)
{
    static const strid_option table[] = {
        {.name = "any.", .type = STRID_OPTION_PROPERTIES, .check = no_zero}, {0}};
    struct options set;
    options_init(&set, table, sizeof(strid_property *));
    cr_assert_eq(options_put(&set, "any.b.c", "1", &err), STRID_OK);
    cr_assert_eq(options_put(&set, "any.a", "", &err), STRID_OK);
    cr_assert_eq(options_put(&set, "any.a", "2", &err), STRID_ECONFIG);
    cr_assert_str_eq(err.message, "\"any.a\" is given twice");
    cr_assert_eq(options_put(&set, "any.d", "0", &err), STRID_ECONFIG);
    cr_assert_str_eq(err.message, "d is 0");
    cr_assert_eq(options_put(&set, "any.", "1", &err), STRID_ECONFIG);
    cr_assert_eq(options_finish(&set, &err), STRID_OK);
    const strid_property *first = *(strid_property **)set.values;
    cr_assert_str_eq(first->name, "b.c");
    cr_assert_str_eq(first->value, "1");
    cr_assert_str_eq(first->next->name, "a");
    cr_assert_str_eq(first->next->value, "");
    cr_assert_null(first->next->next);
    options_fini(&set);
}

Test(options, given_twice_is_refused)
{
    cr_assert_eq(options_put(&options, "text", "a", &err), STRID_OK);
    check_refused("text", "b", "\"text\" is given twice");
}

Test(options, a_required_one_that_is_missing_is_refused)
{
    struct options required;
    options_init(&required, required_table, sizeof(char *));
    cr_assert_eq(options_finish(&required, &err), STRID_ECONFIG);
    cr_assert_str_eq(err.message, "\"store\" is missing: expected a string");
    options_fini(&required);
}

static void check_url(const char *text, const char *scheme, const char *target)
{
    struct url url;
    cr_assert_eq(url_parse(text, &url, &err), STRID_OK, "%s: %s", text, err.message);
    cr_assert_str_eq(url.scheme, scheme);
    cr_assert_str_eq(url.target, target);
    url_fini(&url);
}

Test(url, scheme_and_target)
{
    check_url("file:orders.jsonl", "file", "orders.jsonl");
    check_url("file:/a/b%20c:d", "file", "/a/b%20c:d");
    check_url("memory:", "memory", "");
    check_url("redis+sentinel://h:1/s?x=1", "redis+sentinel", "//h:1/s");
    check_url("generator:?", "generator", "");
}

Test(url, parameters_are_decoded)
{
    struct url url;
    cr_assert_eq(url_parse("x:t?a=1&b%3d=%41+%26&c=", &url, &err), STRID_OK, "%s", err.message);
    cr_assert_eq(url.parameter_count, 3);
    cr_assert_str_eq(url.parameters[0].value, "1");
    cr_assert_str_eq(url.parameters[1].name, "b=");
    cr_assert_str_eq(url.parameters[1].value, "A+&");
    cr_assert_str_eq(url.parameters[2].value, "");
    url_fini(&url);
}

Test(url, bad_ones_are_refused)
{
    static const char *const bad[][2] = {
        {"orders.jsonl", "expected a URL such as file:orders.jsonl, got \"orders.jsonl\""},
        {":x", "expected a URL such as file:orders.jsonl, got \":x\""},
        {"", "expected a URL such as file:orders.jsonl, got \"\""},
        {"x:t?a", "expected name=value in the URL, got \"a\""},
        {"x:t?=1", "expected name=value in the URL, got \"=1\""},
        {"x:t?a=1&", "expected name=value in the URL, got \"\""},
        {"x:t?a=%4", "\"a=%4\": '%' in a URL's parameter is followed by two hexadecimal digits "
                     "(%25 for itself)"},
        {"x:t?a=%00", "\"a=%00\": '%' in a URL's parameter is followed by two hexadecimal digits "
                      "(%25 for itself)"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct url url;
        cr_assert_eq(url_parse(bad[i][0], &url, &err), STRID_ECONFIG, "%s", bad[i][0]);
        cr_assert_str_eq(err.message, bad[i][1]);
    }
}

Test(url, secrets_are_not_shown)
{
    static const char *const shown[][2] = {
        {"fake:t?secret=abc&text=%41", "fake:t?secret=***&text=%41"},
        {"fake://user:pa@ss@host/x?number=1", "fake://user:***@host/x?number=1"},
        {"fake://user:pa/ss@host/x", "fake://user:***@host/x"},
        {"fake://user@host:1/x", "fake://user@host:1/x"},
        {"fake:a:b@c", "fake:a:b@c"},
    };
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        struct url url;
        cr_assert_eq(url_parse(shown[i][0], &url, &err), STRID_OK);
        char *text = url_display(&url, fake_table);
        cr_assert_str_eq(text, shown[i][1]);
        free(text);
        url_fini(&url);
    }
}
