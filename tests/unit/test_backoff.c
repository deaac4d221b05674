#include <criterion/criterion.h>

#include "runtime/backoff.h"

Test(backoff, exponential_stays_between_its_bounds_and_uses_the_whole_span)
{
    static const struct backoff backoff = {.min_ms = 100, .max_ms = 30000};
    static const int64_t ceilings[] = {200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
    struct backoff_random random = {.state = 7};
    for (uint32_t attempt = 1; attempt <= 10; attempt++) {
        int64_t ceiling = ceilings[attempt - 1], least = INT64_MAX, most = 0;
        for (int i = 0; i < 20000; i++) {
            int64_t delay = backoff_delay_ms(&backoff, attempt, &random);
            least = delay < least ? delay : least;
            most = delay > most ? delay : most;
        }
        int64_t tenth = (ceiling - 100) / 10;
        cr_assert(least >= 100 && least <= 100 + tenth, "attempt %u: %ld", attempt, (long)least);
        cr_assert(most <= ceiling && most >= ceiling - tenth, "attempt %u: %ld", attempt,
                  (long)most);
    }
}

Test(backoff, the_same_seed_gives_the_same_waits)
{
    static const struct backoff backoff = {.min_ms = 1, .max_ms = 1000000};
    struct backoff_random a = {.state = 42}, b = {.state = 42}, other = {.state = 43};
    int differing = 0;
    for (uint32_t i = 1; i < 100; i++) {
        int64_t delay = backoff_delay_ms(&backoff, 20, &a);
        cr_assert_eq(delay, backoff_delay_ms(&backoff, 20, &b));
        differing += delay != backoff_delay_ms(&backoff, 20, &other);
    }
    cr_assert(differing > 90);
}

Test(backoff, no_attempt_number_and_no_bound_overflows)
{
    static const struct backoff widest = {.min_ms = 1, .max_ms = INT64_MAX};
    static const struct backoff narrow = {.min_ms = INT64_MAX, .max_ms = INT64_MAX};
    struct backoff_random random = {.state = 1};
    static const uint32_t attempts[] = {1, 62, 63, 64, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        cr_assert(backoff_delay_ms(&widest, attempts[i], &random) >= 1);
        cr_assert_eq(backoff_delay_ms(&narrow, attempts[i], &random), INT64_MAX);
    }
}

Test(backoff, a_list_is_followed_exactly_and_its_last_step_goes_on)
{
    static const struct backoff backoff = {.step_count = 3, .steps_ms = {1000, 60000, 5000}};
    struct backoff_random random = {.state = 9};
    static const int64_t expected[] = {1000, 60000, 5000, 5000, 5000};
    for (uint32_t attempt = 1; attempt <= 5; attempt++)
        cr_assert_eq(backoff_delay_ms(&backoff, attempt, &random), expected[attempt - 1]);
    cr_assert_eq(random.state, 9, "a list asks for no random number");
    cr_assert_eq(backoff_longest_ms(&backoff), 60000);
    cr_assert_eq(backoff_longest_ms(&(struct backoff){.min_ms = 1, .max_ms = 77}), 77);
}
