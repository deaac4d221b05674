#include <criterion/criterion.h>

#include "tools/strid/range.h"

static struct range parsed(const char *text, bool pair)
{
    struct range range;
    strid_error err = STRID_ERROR_INIT;
    range_init(&range);
    cr_assert_eq(range_parse(&range, text, pair, &err), STRID_OK, "%s", err.message);
    return range;
}

Test(range, words_name_the_ends_and_the_group)
{
    struct range range;
    range_init(&range);
    cr_assert_eq(range.start, RANGE_START_BEGINNING);
    cr_assert_eq(range.end_ms, RANGE_WITHOUT_END);
    cr_assert_eq(parsed("beginning", false).start, RANGE_START_BEGINNING);
    cr_assert_eq(parsed("earliest", false).start, RANGE_START_BEGINNING);
    cr_assert_eq(parsed("end", false).start, RANGE_START_END);
    cr_assert_eq(parsed("latest", false).start, RANGE_START_END);
    cr_assert_eq(parsed("stored", true).start, RANGE_START_STORED);
}

Test(range, positions_are_numbers_or_pairs_of_them)
{
    struct range range = parsed("18446744073709551615", false);
    cr_assert_eq(range.start, RANGE_START_POSITION);
    cr_assert_eq(range.position.low, UINT64_MAX);
    cr_assert_eq(range.position.high, 0);
    range = parsed("1700000000000-9", true);
    cr_assert_eq(range.position.high, 1700000000000u);
    cr_assert_eq(range.position.low, 9);
    range = parsed("5", true); /* as Redis reads it */
    cr_assert_eq(range.position.high, 5);
    cr_assert_eq(range.position.low, 0);
}

Test(range, last_ones_and_times)
{
    struct range range = parsed("-25", false);
    cr_assert_eq(range.start, RANGE_START_LAST);
    cr_assert_eq(range.count, 25);
    range = parsed("s@1700000000000", false);
    cr_assert_eq(range.start, RANGE_START_TIME);
    cr_assert_eq(range.start_ms, 1700000000000);
    strid_error err = STRID_ERROR_INIT;
    cr_assert_eq(range_parse(&range, "e@1700000000500", false, &err), STRID_OK);
    cr_assert_eq(range.start, RANGE_START_TIME);
    cr_assert_eq(range.start_ms, 1700000000000);
    cr_assert_eq(range.end_ms, 1700000000500);
}

Test(range, anything_else_is_refused_and_changes_nothing)
{
    static const char *const bad[] = {"",
                                      "begin",
                                      "-",
                                      "-x",
                                      "+5",
                                      "5x",
                                      "18446744073709551616",
                                      "s@",
                                      "s@x",
                                      "e@-1",
                                      " 5",
                                      "5-6",
                                      "s@9223372036854775807"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct range range = parsed("-7", false);
        strid_error err = STRID_ERROR_INIT;
        cr_assert_eq(range_parse(&range, bad[i], false, &err), STRID_EINVAL, "'%s'", bad[i]);
        cr_assert_not_null(strstr(err.message, "s@MS"));
        cr_assert_eq(range.start, RANGE_START_LAST);
        cr_assert_eq(range.count, 7);
    }
    struct range range = parsed("-7", true);
    static const char *const bad_pair[] = {"5-", "5-x", "-5-6", "5-6-7", "x-5"};
    for (size_t i = 0; i < sizeof bad_pair / sizeof bad_pair[0]; i++) {
        strid_error err = STRID_ERROR_INIT;
        cr_assert_eq(range_parse(&range, bad_pair[i], true, &err), STRID_EINVAL, "'%s'",
                     bad_pair[i]);
    }
}
