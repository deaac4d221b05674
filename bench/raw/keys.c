#include "keys.h"

#include <math.h>
#include <string.h>

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_number(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void keys_init(struct keys *keys, uint64_t seed, uint64_t count, bool zipf)
{
    *keys = (struct keys){.state = seed, .count = count, .zipf = zipf};
    keys->first = log(1.5) - 1.0;
    keys->last = log((double)count + 0.5);
    keys->shift = 2.0 - exp(log(2.5) - 0.5);
}

/* Rejection-inversion (Hörmann and Derflinger 1996) for the exponent 1, where the integral of the
 * hat is a logarithm. */
static uint64_t next_zipf(struct keys *keys)
{
    for (;;) {
        double unit = (double)(next_number(&keys->state) >> 11) * 0x1p-53;
        double u = keys->last + unit * (keys->first - keys->last);
        double x = exp(u);
        double k = floor(x + 0.5);
        if (k < 1.0)
            k = 1.0;
        if (k > (double)keys->count)
            k = (double)keys->count;
        if (k - x <= keys->shift || u >= log(k + 0.5) - 1.0 / k)
            return (uint64_t)k - 1;
    }
}

/* ISO C has no type that holds the product of two 64-bit numbers. */
__extension__ typedef unsigned __int128 wide;

uint64_t keys_next(struct keys *keys)
{
    if (keys->zipf)
        return next_zipf(keys);
    return (uint64_t)(((wide)next_number(&keys->state) * keys->count) >> 64);
}

void keys_write(uint64_t number, char out[KEYS_BYTES])
{
    memcpy(out, "key-", 4);
    for (int i = KEYS_BYTES - 1; i >= 4; i--) {
        out[i] = (char)('0' + number % 10);
        number /= 10;
    }
}
