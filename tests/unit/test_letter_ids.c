#include <criterion/criterion.h>

#include "api/letter_ids.h"

static bool add(struct letter_ids *ids, unsigned number)
{
    return letter_ids_add(ids, strid_bytes_of(&number, sizeof number));
}

Test(letter_ids, tells_each_repeat)
{
    struct letter_ids ids = {0};
    for (unsigned i = 0; i < 100000; i++)
        cr_assert(add(&ids, i), "%u was never seen", i);
    for (unsigned i = 0; i < 100000; i++)
        cr_assert_not(add(&ids, i), "%u is a repeat", i);
    letter_ids_fini(&ids);
}

Test(letter_ids, may_be_asked_for_as_long_as_all_are_there)
{
    enum { HALF = LETTER_IDS_MAX / 2 };
    struct letter_ids ids = {0};
    unsigned first = 0, other = HALF + 1;
    cr_assert_not(letter_ids_has(&ids, strid_bytes_of(&first, sizeof first)), "it is empty");
    for (unsigned i = 0; i < HALF; i++)
        cr_assert(add(&ids, i));
    cr_assert(letter_ids_are_all(&ids));
    cr_assert(letter_ids_has(&ids, strid_bytes_of(&first, sizeof first)));
    cr_assert_not(letter_ids_has(&ids, strid_bytes_of(&other, sizeof other)));
    cr_assert(add(&ids, HALF));
    cr_assert_not(letter_ids_are_all(&ids), "some are about to go");
    cr_assert(letter_ids_has(&ids, strid_bytes_of(&first, sizeof first)));
    letter_ids_fini(&ids);
}

Test(letter_ids, memory_is_bounded_and_the_latest_are_known)
{
    enum { MANY = LETTER_IDS_MAX / 2 * 3 + 1000, KNOWN = LETTER_IDS_MAX / 2 };
    struct letter_ids ids = {0};
    for (unsigned i = 0; i < MANY; i++)
        cr_assert(add(&ids, i), "%u was never seen", i);
    cr_assert_leq(ids.slot_count, (size_t)LETTER_IDS_MAX);
    for (unsigned i = MANY - KNOWN; i < MANY; i++)
        cr_assert_not(add(&ids, i), "%u is a repeat", i);
    letter_ids_fini(&ids);
}
