#include <criterion/criterion.h>
#include <string.h>

#include "base/spares.h"

#ifdef __SANITIZE_ADDRESS__
static const bool keeps = false;
#else
static const bool keeps = true;
#endif

Test(spares, what_was_freed_is_the_next_of_its_size)
{
    struct spares spares = {0};
    void *block = spares_alloc(&spares, 40), *other = spares_alloc(&spares, 100);
    memset(block, 1, 40);
    memset(other, 2, 100);
    spares_free(&spares, block, 40);
    spares_free(&spares, other, 100);
    if (keeps) {
        cr_assert_eq(spares_alloc(&spares, 33), block); /* the same 16 bytes */
        cr_assert_eq(spares_alloc(&spares, 112), other);
        spares_free(&spares, block, 33);
        spares_free(&spares, other, 112);
    }
    spares_fini(&spares);
}

Test(spares, a_block_is_not_given_for_one_of_another_size)
{
    struct spares spares = {0};
    for (size_t bytes = 0; bytes < 700; bytes++) {
        void *block = spares_alloc(&spares, bytes);
        memset(block, 0x5a, bytes); /* valgrind sees it where it is too small */
        spares_free(&spares, block, bytes);
        void *next = spares_alloc(&spares, bytes + SPARES_STEP);
        memset(next, 0xa5, bytes + SPARES_STEP);
        if (keeps && bytes > 0 && bytes <= (size_t)SPARES_CLASSES * SPARES_STEP)
            cr_assert_eq(spares.counts[(bytes - 1) / SPARES_STEP], 1, "%zu", bytes);
        spares_free(&spares, next, bytes + SPARES_STEP);
    }
    spares_fini(&spares);
}

Test(spares, no_more_are_kept_than_said_and_none_that_is_large)
{
    enum { BLOCKS = SPARES_KEPT + 10, LARGE = SPARES_CLASSES * SPARES_STEP + 1 };
    static void *blocks[BLOCKS];
    struct spares spares = {0};
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = spares_alloc(&spares, SPARES_STEP);
    for (int i = 0; i < BLOCKS; i++)
        spares_free(&spares, blocks[i], SPARES_STEP);
    cr_assert_eq(spares.counts[0], keeps ? SPARES_KEPT : 0);
    spares_free(&spares, spares_alloc(&spares, LARGE), LARGE);
    for (int i = 1; i < SPARES_CLASSES; i++)
        cr_assert_eq(spares.counts[i], 0);
    spares_fini(&spares);
    cr_assert_eq(spares.counts[0], 0);
    cr_assert_null(spares.lists[0]);
}
