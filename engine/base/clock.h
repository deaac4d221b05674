/* Time, real or virtual. The core never asks the operating system itself. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*monotonic_ns)(void *user); /* never goes back */
    int64_t (*wall_ms)(void *user);      /* milliseconds since 1970 UTC */
    void *user;
};

extern const struct clock clock_system;

static inline int64_t clock_monotonic_ns(const struct clock *clock)
{
    return clock->monotonic_ns(clock->user);
}
static inline int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock->user);
}

#endif
