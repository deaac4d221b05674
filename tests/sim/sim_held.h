/* States that blocks hold, told by hashes: so that what is loaded, or is about to go, can be looked
 * up without copies. Blocks are added in ascending order of their numbers and leave from the front.
 * One thread. */
#ifndef SIM_HELD_H
#define SIM_HELD_H

#include "state/key.h"

struct sim_held_entry {
    uint64_t number; /* of its block */
    uint64_t key, value;
    int64_t expiry_ms;
    uint32_t before; /* index + 1 of an older entry in the same slot; 0: none */
};

struct sim_held {
    struct sim_held_entry *entries;
    uint32_t begin, end, capacity; /* entries[begin .. end - 1] are held */
    uint32_t *slots;               /* index + 1 of the newest entry; `capacity` of them */
    uint64_t through;              /* the highest block that was added */
};

void sim_held_fini(struct sim_held *held);

/* All states of a block, which is whole. */
void sim_held_add(struct sim_held *held, strid_bytes block);
/* Blocks below that number are gone. */
void sim_held_forget(struct sim_held *held, uint64_t number);

/* Whether one of the blocks says this of that key, both as below. A deletion is also held by a
 * value that was over by that time. */
bool sim_held_has(const struct sim_held *held, uint64_t key, uint64_t value, int64_t now_ms);

/* Index of the first entry of a block with that number or a higher one. */
uint32_t sim_held_first(const struct sim_held *held, uint64_t number);
/* Whether no other entry of the blocks up to that one says something newer of its key. */
bool sim_held_is_last(const struct sim_held *held, const struct sim_held_entry *entry,
                      uint64_t number);

/* The same key, or the same value, gives the same; 0 is the value of what is deleted. */
uint64_t sim_held_key(const struct key_state *key);
uint64_t sim_held_value(const struct key_value *value);

#endif
