/* Which key comes next: the numbers that the generator source draws, for the raw loops. A key is
 * 16 bytes "key-000000000042", as there. @thread one a struct */
#ifndef RAW_KEYS_H
#define RAW_KEYS_H

#include <stdbool.h>
#include <stdint.h>

enum { KEYS_BYTES = 16 };

struct keys {
    uint64_t state;
    uint64_t count;
    bool zipf;
    double first, last, shift; /* of the rejection-inversion method */
};

/* zipf: exponent 1; otherwise uniform. */
void keys_init(struct keys *keys, uint64_t seed, uint64_t count, bool zipf);
uint64_t keys_next(struct keys *keys);
void keys_write(uint64_t number, char out[KEYS_BYTES]);

#endif
