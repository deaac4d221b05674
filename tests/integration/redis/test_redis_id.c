/* IDs of entries: numbers of 64 bits on both sides, never texts. */
#include <criterion/criterion.h>

#include "connectors/redis/redis_id.h"

#include <string.h>

static const struct {
    const char *text;
    strid_position id;
} ids[] = {{"0-0", {0, 0}},
           {"9-9", {9, 9}},
           {"10-0", {10, 0}},
           {"1700000000000-18446744073709551615", {UINT64_C(1700000000000), UINT64_MAX}},
           {"18446744073709551615-18446744073709551615", {UINT64_MAX, UINT64_MAX}}};

enum { IDS = sizeof ids / sizeof ids[0] };

static bool is_same(strid_position a, strid_position b)
{
    return strid_position_compare(a, b) == 0;
}

Test(redis_id, text_and_number_are_the_same)
{
    for (int i = 0; i < IDS; i++) {
        char text[REDIS_ID_MAX];
        strid_position id;
        cr_assert(redis_id_parse(strid_bytes_of_text(ids[i].text), &id), "%s", ids[i].text);
        cr_assert(is_same(id, ids[i].id), "%s", ids[i].text);
        cr_assert_eq(redis_id_format(id, text), strlen(ids[i].text));
        cr_assert_str_eq(text, ids[i].text);
        cr_assert(i == 0 || strid_position_compare(ids[i - 1].id, id) < 0);
    }
    strid_position id;
    cr_assert(redis_id_parse(strid_bytes_of_text("7"), &id) && is_same(id, (strid_position){7, 0}));
}

/* Taken for a lower number, an ID beyond the last one would be counted as handled. */
Test(redis_id, what_is_none_is_refused)
{
    static const char *const texts[] = {"",
                                        "-",
                                        "5-",
                                        "-5",
                                        "5-5-5",
                                        "5 5",
                                        "x-1",
                                        "1-x",
                                        "+1-1",
                                        " 1-1",
                                        "1-1 ",
                                        "18446744073709551616-0",
                                        "0-18446744073709551616",
                                        "99999999999999999999-0",
                                        "0-20000000000000000000"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        strid_position id;
        cr_assert_not(redis_id_parse(strid_bytes_of_text(texts[i]), &id), "%s", texts[i]);
    }
    strid_position id;
    cr_assert_not(redis_id_parse(strid_bytes_of(NULL, 0), &id));
}

Test(redis_id, neighbours_carry_and_stop_at_the_ends)
{
    const strid_position last = {UINT64_MAX, UINT64_MAX}, end = {5, UINT64_MAX}, next = {6, 0};
    cr_assert(is_same(redis_id_next((strid_position){5, 5}), (strid_position){5, 6}));
    cr_assert(is_same(redis_id_before((strid_position){5, 5}), (strid_position){5, 4}));
    cr_assert(is_same(redis_id_next(end), next));
    cr_assert(is_same(redis_id_before(next), end));
    cr_assert(is_same(redis_id_next(last), last));
    cr_assert(is_same(redis_id_before((strid_position){0, 0}), (strid_position){0, 0}));
}
