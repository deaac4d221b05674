/* States that the store holds, told by hashes: what was loaded last of each key. One thread. */
#ifndef SIM_STORED_H
#define SIM_STORED_H

#include <stdint.h>

struct sim_stored_entry {
    uint64_t key, value; /* as sim_held has them; 0: an empty place, nothing is stored */
};

struct sim_stored {
    struct sim_stored_entry *entries; /* open addressing */
    uint32_t count, capacity;         /* a power of two */
};

void sim_stored_fini(struct sim_stored *stored);

/* From now on the store holds that of the key; 0: nothing. */
void sim_stored_set(struct sim_stored *stored, uint64_t key, uint64_t value);
/* 0: nothing. */
uint64_t sim_stored_get(const struct sim_stored *stored, uint64_t key);

#endif
