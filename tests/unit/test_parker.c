#include <criterion/criterion.h>

#include <pthread.h>

#include "base/clock.h"
#include "concurrent/parker.h"
#include "support/support.h"

static const int64_t LONG_NS = INT64_C(60000000000);

Test(parker, does_not_sleep_when_woken_between_prepare_and_wait)
{
    struct parker parker = {0};
    int64_t before = clock_monotonic_ns(&clock_system);
    uint32_t ticket = parker_prepare(&parker);
    parker_wake(&parker);
    parker_wait(&parker, ticket, LONG_NS);
    parker_done(&parker);
    cr_assert_lt(clock_monotonic_ns(&clock_system) - before, LONG_NS / 2);
}

Test(parker, a_wake_before_prepare_is_seen_by_the_second_look_not_by_the_wait)
{
    struct parker parker = {0};
    parker_wake(&parker);
    uint32_t ticket = parker_prepare(&parker);
    int64_t before = clock_monotonic_ns(&clock_system);
    parker_wait(&parker, ticket, 2000000);
    cr_assert_geq(clock_monotonic_ns(&clock_system) - before, 1000000);
    parker_done(&parker);
}

struct sleeper {
    struct parker parker;
    _Atomic bool asleep;
    _Atomic bool back;
};

static void *fall_asleep(void *user)
{
    struct sleeper *sleeper = user;
    uint32_t ticket = parker_prepare(&sleeper->parker);
    sleeper->asleep = true;
    parker_wait(&sleeper->parker, ticket, LONG_NS);
    parker_done(&sleeper->parker);
    sleeper->back = true;
    return NULL;
}

static bool is_asleep(void *user) { return ((struct sleeper *)user)->asleep; }
static bool is_back(void *user) { return ((struct sleeper *)user)->back; }

Test(parker, wakes_a_thread_that_sleeps)
{
    struct sleeper sleeper = {0};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, fall_asleep, &sleeper), 0);
    cr_assert(support_wait(is_asleep, &sleeper, 10000));
    parker_wake(&sleeper.parker);
    cr_assert(support_wait(is_back, &sleeper, 10000), "the wake-up was lost");
    pthread_join(thread, NULL);
    cr_assert_eq(sleeper.parker.waiting, 0);
}

Test(parker, comes_back_when_the_time_is_over)
{
    struct parker parker = {0};
    int64_t before = clock_monotonic_ns(&clock_system);
    parker_wait(&parker, parker_prepare(&parker), 1000000);
    int64_t took = clock_monotonic_ns(&clock_system) - before;
    cr_assert(took >= 500000 && took < LONG_NS / 2, "%lld ns", (long long)took);
}
