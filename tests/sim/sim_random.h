/* The simulator's only source of chance: SplitMix64, so that a seed is a whole history. One thread.
 */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
};

static inline uint64_t sim_random_mix(uint64_t value)
{
    value ^= value >> 30;
    value *= UINT64_C(0xbf58476d1ce4e5b9);
    value ^= value >> 27;
    value *= UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static inline uint64_t sim_random_next(struct sim_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return sim_random_mix(random->state);
}

/* 0 .. bound - 1 */
static inline uint32_t sim_random_below(struct sim_random *random, uint32_t bound)
{
    return (uint32_t)((sim_random_next(random) >> 32) * bound >> 32);
}

/* low .. high */
static inline uint32_t sim_random_between(struct sim_random *random, uint32_t low, uint32_t high)
{
    return low + sim_random_below(random, high - low + 1);
}

/* True once in `rate` times; never where the rate is 0. */
static inline bool sim_random_chance(struct sim_random *random, uint32_t rate)
{
    return rate != 0 && sim_random_below(random, rate) == 0;
}

/* About as often below 10 as between 10 and 100, and so on, up to `high`. */
static inline uint32_t sim_random_log(struct sim_random *random, uint32_t low, uint32_t high)
{
    uint32_t doublings = 0;
    while (low < high >> doublings)
        doublings++;
    uint64_t bound = (uint64_t)low << sim_random_between(random, 0, doublings);
    return sim_random_between(random, low, bound > high ? high : (uint32_t)bound);
}

#endif
