/* Random access random numbers: the n-th number of a stream without those before it (the output
 * function of SplitMix64, Steele, Lea and Flood 2014). @thread any */
#ifndef GENERATOR_RANDOM_H
#define GENERATOR_RANDOM_H

#include <stdint.h>

static inline uint64_t generator_random_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t generator_random_at(uint64_t stream, uint64_t n)
{
    return generator_random_mix(stream + (n + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/* Even over [0, bound), without a division. */
static inline uint64_t generator_random_below(uint64_t random, uint64_t bound)
{
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)(((wide)random * bound) >> 64);
}

#endif
