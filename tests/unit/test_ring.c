#include <criterion/criterion.h>

#include "concurrent/ring.h"

static void *element(uintptr_t number) { return (void *)number; }

Test(ring, gives_back_what_was_pushed_in_order)
{
    struct ring *ring = ring_create(5);
    for (uintptr_t i = 1; i <= 5; i++)
        cr_assert(ring_push(ring, element(i)), "room for element %zu of 5", (size_t)i);
    cr_assert_eq(ring_size(ring), 5);
    for (uintptr_t i = 1; i <= 5; i++)
        cr_assert_eq(ring_pop(ring), element(i));
    cr_assert_null(ring_pop(ring));
    ring_destroy(ring);
}

Test(ring, refuses_a_push_when_full_and_takes_it_after_a_pop)
{
    struct ring *ring = ring_create(4);
    uintptr_t pushed = 0;
    while (ring_push(ring, element(pushed + 1)))
        pushed++;
    cr_assert_geq(pushed, 4);
    cr_assert_not(ring_push(ring, element(99)));
    cr_assert_eq(ring_size(ring), pushed);
    cr_assert_eq(ring_pop(ring), element(1));
    cr_assert(ring_push(ring, element(99)));
    for (uintptr_t i = 2; i <= pushed; i++)
        cr_assert_eq(ring_pop(ring), element(i));
    cr_assert_eq(ring_pop(ring), element(99));
    ring_destroy(ring);
}

Test(ring, holds_the_elements_asked_for_whatever_their_number)
{
    static const uint32_t wanted[] = {0, 1, 2, 3, 4, 7, 8, 9, 255, 256, 1000};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct ring *ring = ring_create(wanted[i]);
        for (uintptr_t n = 1; n <= wanted[i]; n++)
            cr_assert(ring_push(ring, element(n)), "%u elements", wanted[i]);
        for (uintptr_t n = 1; n <= wanted[i]; n++)
            cr_assert_eq(ring_pop(ring), element(n));
        ring_destroy(ring);
    }
}

Test(ring, goes_round_many_times)
{
    struct ring *ring = ring_create(3);
    uintptr_t popped = 0;
    for (uintptr_t i = 1; i <= 10000; i++) {
        cr_assert(ring_push(ring, element(i)));
        if (i % 3 == 0)
            for (int n = 0; n < 3; n++)
                cr_assert_eq(ring_pop(ring), element(++popped));
    }
    cr_assert_eq(ring_size(ring), 10000 - popped);
    ring_destroy(ring);
}

Test(ring, empty_and_absent)
{
    struct ring *ring = ring_create(1);
    cr_assert_null(ring_pop(ring));
    cr_assert_eq(ring_size(ring), 0);
    ring_destroy(ring);
    ring_destroy(NULL);
}
