/* The generator: what its records are, and that they depend on nothing but options and number. */
#include <criterion/criterion.h>

#include "base/json.h"
#include "connectors/generator/generator_zipf.h"

#include "connector_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct opened_source source;
static struct strid_intake intake;
static strid_error err;
static const strid_bytes none = {NULL, 0};

static void tear_down(void)
{
    source_close(&source);
    intake_fini(&intake);
}

TestSuite(generator, .fini = tear_down);

static strid_status open_with(const char *query)
{
    char url[256];
    (void)snprintf(url, sizeof url, "generator:?%s", query);
    source_close(&source);
    return source_open_url(&source, url, &err);
}

static void read_all(const char *query, uint32_t partition)
{
    intake_clear(&intake);
    STRID_CHECK_OK(open_with(query), err);
    STRID_CHECK_OK(source_assign_at(&source, partition, NULL, none, &err), err);
    cr_assert_eq(source_drain(&source, partition, &intake, 256, &err), STRID_EOF);
    cr_assert_null(intake.violation, "%s", intake.violation);
}

static bool is_same(const struct strid_intake *a, const struct strid_intake *b)
{
    return a->count == b->count &&
           strid_bytes_equal(buffer_bytes(&a->bytes), buffer_bytes(&b->bytes));
}

Test(generator, same_options_give_the_same_records_and_other_seeds_others)
{
    struct strid_intake first;
    read_all("records=1000&seed=3", 0);
    first = intake;
    intake = (struct strid_intake){0};
    read_all("records=1000&seed=3", 0);
    cr_assert(is_same(&first, &intake));
    read_all("records=1000&seed=4", 0);
    cr_assert_not(is_same(&first, &intake));
    read_all("records=2000&partitions=2&seed=3", 1);
    cr_assert_not(is_same(&first, &intake));
    intake_fini(&first);
}

Test(generator, records_are_spread_over_partitions)
{
    size_t total = 0;
    for (uint32_t partition = 0; partition < 3; partition++) {
        read_all("records=100&partitions=3", partition);
        cr_assert(intake.count == 33 || intake.count == 34);
        total += intake.count;
    }
    cr_assert_eq(total, 100);
    strid_partition_info info;
    source.ops->describe(source.self, 0, &info);
    cr_assert_eq(info.bytes_total, 34);
}

Test(generator, bytes_begin_with_the_number_and_have_the_size)
{
    read_all("records=20&size=16&keys=5", 0);
    for (size_t i = 0; i < intake.count; i++) {
        char number[24];
        (void)snprintf(number, sizeof number, "%016zu", i);
        cr_assert(strid_bytes_equal(intake_value(&intake, i), strid_bytes_of_text(number)));
        strid_bytes key = intake_key(&intake, i);
        cr_assert_eq(key.len, 16);
        cr_assert_eq(memcmp(key.data, "key-00000000000", 15), 0);
        cr_assert(key.data[15] >= '0' && key.data[15] < '5');
    }
    read_all("records=3&size=1000", 0);
    cr_assert_eq(intake_value(&intake, 2).len, 1000);
}

Test(generator, digits_of_large_numbers_are_right)
{
    strid_position position = {0, UINT64_C(9876543210123456)};
    STRID_CHECK_OK(open_with("keys=1000000000000"), err);
    STRID_CHECK_OK(source_assign_at(&source, 0, &position, none, &err), err);
    STRID_CHECK_OK(source.ops->poll(source.self, 0, &intake, 1, &err), err);
    cr_assert_eq(memcmp(intake_value(&intake, 0).data, "9876543210123456", 16), 0);
    for (size_t i = 4; i < 16; i++)
        cr_assert(intake_key(&intake, 0).data[i] >= '0' && intake_key(&intake, 0).data[i] <= '9');
}

Test(generator, uniform_keys_come_about_equally_often)
{
    uint32_t counts[10] = {0};
    read_all("records=20000&keys=10", 0);
    for (size_t i = 0; i < intake.count; i++)
        counts[intake_key(&intake, i).data[15] - '0']++;
    for (size_t i = 0; i < 10; i++)
        cr_assert(counts[i] > 1800 && counts[i] < 2200, "%zu: %u", i, counts[i]);
}

/* Each rank comes as often as rank^-s says, also for s = 1, where the integral is a logarithm. */
Test(generator, zipf_ranks_follow_the_law)
{
    static const double exponents[] = {0.5, 1.0, 1.2, 3.0};
    enum { RANKS = 20, DRAWS = 400000 };
    for (size_t e = 0; e < sizeof exponents / sizeof exponents[0]; e++) {
        struct generator_zipf zipf;
        uint32_t counts[RANKS] = {0};
        double sum = 0.0;
        generator_zipf_init(&zipf, RANKS, exponents[e]);
        for (uint64_t i = 0; i < DRAWS; i++)
            counts[generator_zipf_rank(&zipf, i * UINT64_C(0x9e3779b97f4a7c15))]++;
        for (int i = 0; i < RANKS; i++)
            sum += pow(i + 1, -exponents[e]);
        for (int i = 0; i < RANKS; i++) {
            double expected = DRAWS * pow(i + 1, -exponents[e]) / sum;
            double allowed = 5.0 * sqrt(expected) + 5.0;
            cr_assert(fabs(counts[i] - expected) < allowed, "s %g rank %d: %u, not %g",
                      exponents[e], i, counts[i], expected);
        }
    }
}

Test(generator, json_holds_number_key_type_and_amount)
{
    static const char *const names[] = {"n", "key", "type", "amount", "pad"};
    struct json_parser *parser = json_parser_create();
    strid_field fields[5];
    read_all("records=2000&format=json&size=150&type=sale&partitions=1", 0);
    for (size_t i = 0; i < intake.count; i++) {
        struct buffer text = {0};
        strid_bytes value = intake_value(&intake, i);
        cr_assert_eq(value.len, 150);
        buffer_put_bytes(&text, value);
        memset(buffer_reserve(&text, JSON_PADDING), 0, JSON_PADDING);
        cr_assert_null(json_extract(parser, buffer_bytes(&text), names, 5, fields));
        cr_assert_eq(fields[0].integer, (int64_t)i);
        cr_assert(strid_bytes_equal(fields[1].text, intake_key(&intake, i)));
        cr_assert(strid_bytes_equal(fields[2].text, strid_bytes_of_text("sale")));
        cr_assert(fields[3].integer >= 1 && fields[3].integer <= 100);
        cr_assert_eq(fields[4].kind, STRID_FIELD_STRING);
        buffer_fini(&text);
    }
    read_all("records=10&format=json&size=16", 0); /* its members need more */
    cr_assert_null(json_validate(parser, intake_value(&intake, 9)));
    json_parser_destroy(parser);
}

Test(generator, one_in_so_many_json_values_is_broken)
{
    struct json_parser *parser = json_parser_create();
    uint32_t broken = 0;
    read_all("records=10000&format=json&broken=10", 0);
    for (size_t i = 0; i < intake.count; i++)
        broken += json_validate(parser, intake_value(&intake, i)) != NULL;
    cr_assert(broken > 900 && broken < 1100, "%u", broken);
    json_parser_destroy(parser);
}

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

Test(generator, rate_is_not_exceeded)
{
    STRID_CHECK_OK(open_with("rate=20000&partitions=2"), err);
    STRID_CHECK_OK(source_assign_at(&source, 0, NULL, none, &err), err);
    intake.is_counting = true;
    bool has_waited = false;
    int64_t begin = now_ns();
    while (intake.count < 3000)
        has_waited |= source.ops->poll(source.self, 0, &intake, 256, &err) == STRID_AGAIN;
    double seconds = (double)(now_ns() - begin) * 1e-9;
    cr_assert(has_waited);
    cr_assert_geq(seconds, 0.299 - 0.1, "3000 at 10000 a second, a tenth of a second ahead");
}

Test(generator, more_records_may_be_asked_for_later_but_not_others)
{
    uint8_t fingerprint[STRID_FINGERPRINT_MAX];
    strid_position position = {0, 10};
    read_all("records=10", 0);
    strid_bytes stored =
        strid_bytes_of(fingerprint, source.ops->fingerprint(source.self, 0, fingerprint));
    STRID_CHECK_OK(open_with("records=12&rate=5"), err);
    STRID_CHECK_OK(source_assign_at(&source, 0, &position, stored, &err), err);
    static const char *const others[] = {"seed=2",      "keys=2", "dist=zipf:1", "size=20",
                                         "format=json", "type=t", "partitions=2"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        STRID_CHECK_OK(open_with(others[i]), err);
        cr_assert_eq(source_assign_at(&source, 0, &position, stored, &err), STRID_EGAP, "%s",
                     others[i]);
    }
    STRID_CHECK_OK(open_with("records=9"), err);
    cr_assert_eq(source_assign_at(&source, 0, &position, stored, &err), STRID_EGAP);
    cr_assert(strstr(err.message, "has only 9") != NULL, "%s", err.message);
}

Test(generator, options_that_make_no_sense_are_refused)
{
    static const char *const wrong[] = {
        "dist=zipf",     "dist=zipf:",  "dist=zipf:0",  "dist=zipf:-1", "dist=zipf:11",
        "dist=zipf:nan", "dist=normal", "dist=zipf:1x", "broken=5",     "size=15",
        "keys=0",        "records=-1",  "partitions=0", "type=a%22b",   "type=a%0Ab",
        "type=%5C",      "format=xml",  "rate=-1",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(open_with(wrong[i]), STRID_ECONFIG, "%s", wrong[i]);
    STRID_CHECK_OK(open_with("type=%26%20ok&format=json&broken=1"), err);
}
