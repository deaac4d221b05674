#include <criterion/criterion.h>

#include "state/slab.h"

#include <string.h>

enum { PAGE = SLAB_GRANULE * SLAB_PAGE_GRANULES };

Test(slab, class_is_the_smallest_that_holds_the_bytes)
{
    struct slab slab;
    slab_init(&slab, PAGE);
    for (size_t bytes = 0; bytes <= SLAB_CELL_MAX; bytes++) {
        uint32_t class = slab_class_of(bytes);
        cr_assert_lt(class, SLAB_CLASSES);
        cr_assert_geq((size_t)slab.classes[class].granules * SLAB_GRANULE, bytes);
        if (class > 0)
            cr_assert_lt((size_t)slab.classes[class - 1].granules * SLAB_GRANULE,
                         bytes == 0 ? 1 : bytes);
    }
    slab_fini(&slab);
}

Test(slab, cells_of_all_classes_do_not_overlap)
{
    struct slab slab;
    uint32_t cells[SLAB_CLASSES][3];
    slab_init(&slab, 100 * PAGE);
    for (uint32_t class = 0; class < SLAB_CLASSES; class ++)
        for (int i = 0; i < 3; i++) {
            cells[class][i] = slab_alloc(&slab, class, false);
            cr_assert_neq(cells[class][i], SLAB_NONE);
            memset(slab_at(&slab, cells[class][i]), (int)(class * 3) + i,
                   (size_t)slab.classes[class].granules * SLAB_GRANULE);
        }
    for (uint32_t class = 0; class < SLAB_CLASSES; class ++)
        for (int i = 0; i < 3; i++) {
            const uint8_t *at = slab_at(&slab, cells[class][i]);
            size_t bytes = (size_t)slab.classes[class].granules * SLAB_GRANULE;
            for (size_t n = 0; n < bytes; n++)
                cr_assert_eq(at[n], (uint8_t)(class * 3 + (uint32_t)i));
            cr_assert_eq(slab_cell_of(&slab, at), cells[class][i]);
        }
    slab_fini(&slab);
}

Test(slab, refuses_beyond_its_bound_unless_insisted)
{
    struct slab slab;
    slab_init(&slab, 2 * PAGE);
    uint32_t largest = SLAB_CLASSES - 1;
    cr_assert_neq(slab_alloc(&slab, largest, false), SLAB_NONE);
    uint32_t second = slab_alloc(&slab, largest, false);
    cr_assert_neq(second, SLAB_NONE);
    cr_assert_eq(slab_alloc(&slab, largest, false), SLAB_NONE);
    cr_assert_neq(slab_alloc(&slab, largest, true), SLAB_NONE);
    slab_release(&slab, second, largest);
    cr_assert_eq(slab_alloc(&slab, largest, false), second, "a released cell comes again");
    slab_fini(&slab);
}

Test(slab, counts_add_up)
{
    struct slab slab;
    slab_init(&slab, 10 * PAGE);
    uint32_t cells[200];
    for (int i = 0; i < 200; i++)
        cells[i] = slab_alloc(&slab, 0, false);
    const struct slab_class *class = &slab.classes[0];
    cr_assert_eq(class->used_count, 200);
    cr_assert_eq(class->free_count + class->used_count, class->page_count * SLAB_PAGE_GRANULES);
    for (int i = 0; i < 200; i++)
        slab_release(&slab, cells[i], 0);
    cr_assert_eq(class->used_count, 0);
    slab_fini(&slab);
}

Test(slab, a_new_page_is_not_written_to_before_its_cells_are_given)
{
    struct slab slab;
    slab_init(&slab, PAGE);
    uint32_t first = slab_alloc(&slab, 0, false), second = slab_alloc(&slab, 0, false);
    cr_assert_eq(second, first + 1, "cells of a new page come one after the other");
    const uint8_t *page = slab_at(&slab, first);
    for (int i = 0; i < PAGE; i++)
        cr_assert_eq(page[i], 0, "byte %d", i);
    slab_release(&slab, first, 0);
    cr_assert_eq(slab_alloc(&slab, 0, false), first, "what was given back comes first");
    cr_assert_eq(slab_alloc(&slab, 0, false), second + 1);
    for (uint32_t i = second + 2; i < first + SLAB_PAGE_GRANULES; i++)
        cr_assert_eq(slab_alloc(&slab, 0, false), i);
    cr_assert_eq(slab_alloc(&slab, 0, false), SLAB_NONE);
    slab_fini(&slab);
}

Test(slab, walk_meets_every_used_cell_once_a_round)
{
    struct slab slab;
    slab_init(&slab, 20 * PAGE);
    enum { CELLS = 3000 };
    static uint32_t cells[CELLS];
    static uint8_t met[CELLS * 2];
    uint32_t other = slab_class_of(200);
    for (int i = 0; i < CELLS; i++) {
        cells[i] = slab_alloc(&slab, 0, false);
        memset(slab_at(&slab, cells[i]), 0, SLAB_GRANULE);
        memset(slab_at(&slab, slab_alloc(&slab, other, false)), 0, 200);
    }
    for (int i = 0; i < CELLS; i += 2)
        slab_release(&slab, cells[i], 0);
    int count = 0;
    for (uint32_t cell; (cell = slab_walk(&slab, 0)) != SLAB_NONE; count++)
        for (int i = 0; i < CELLS; i++)
            if (cells[i] == cell)
                met[i]++;
    cr_assert_eq(count, CELLS / 2);
    for (int i = 0; i < CELLS; i++)
        cr_assert_eq(met[i], i % 2, "cell %d", i);
    slab_fini(&slab);
    slab_fini(&slab); /* twice is harmless */
}

/* Nothing of what is reserved is touched. */
Test(slab, largest_memory_keeps_the_numbers_of_cells_apart)
{
    static const uint64_t sizes[] = {UINT64_C(256) << 30, UINT64_C(64) << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct slab slab;
        slab_init(&slab, sizes[i]);
        cr_assert_eq((uint64_t)slab.pages_max * PAGE, SLAB_BYTES_MAX);
        cr_assert_lt(slab.reserved / SLAB_GRANULE, UINT32_MAX, "the last cell + 1 is a number");
        cr_assert_gt(slab.reserved, SLAB_BYTES_MAX, "who insists gets more");
        slab_fini(&slab);
    }
}
