#include "clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id, int64_t per_second, int64_t ns_per_unit)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * per_second + (int64_t)now.tv_nsec / ns_per_unit;
}

static int64_t system_monotonic_ns(void *user)
{
    (void)user;
    return read_clock(CLOCK_MONOTONIC, 1000000000, 1);
}

static int64_t system_wall_ms(void *user)
{
    (void)user;
    return read_clock(CLOCK_REALTIME, 1000, 1000000);
}

const struct clock clock_system = {.monotonic_ns = system_monotonic_ns, .wall_ms = system_wall_ms};
