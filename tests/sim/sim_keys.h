/* Whether the store holds of each key what the model says for the progress that is covered. Keys of
 * which nothing was loaded and nothing more is covered since they were compared last are not
 * compared again. One thread. */
#ifndef SIM_KEYS_H
#define SIM_KEYS_H

#include "state/directory.h"

#include "sim_input.h"

/* Records that progress covers, per vshard and partition: index + 1. */
typedef uint32_t sim_coverage[SIM_INPUT_VSHARDS][SIM_INPUT_PARTITIONS_MAX];

/* What a key was compared with last. */
struct sim_compared {
    struct sim_state state;
    uint32_t entries; /* how many there have to be */
    uint32_t waiting; /* records that wait or are parked */
    bool loaded;      /* the store's were loaded anew since */
    bool folded;      /* there are others in the blocks of the directory in hand */
};

struct sim_keys {
    struct sim_compared *compared; /* per key */
    uint32_t *slots;               /* by hash: index + 1 */
    uint32_t slot_count;           /* a power of two */
    sim_coverage applied;          /* when they were compared last */
    size_t entries;                /* of the model's stores that are in the store */
    size_t waiting;                /* records, when they were compared last */
};

void sim_keys_init(struct sim_keys *keys, const struct sim_input *input);
void sim_keys_fini(struct sim_keys *keys);

/* A state was loaded; `change`: how many entries more or less there are. */
void sim_keys_loaded(struct sim_keys *keys, strid_bytes key, int change);

/* Compares with the model; returns how many entries there have to be. */
size_t sim_keys_check(struct sim_keys *keys, const struct directory *directory,
                      sim_coverage applied);

/* What a directory holds of a key: in its blocks, where it was opened to be read, or else in the
 * store. */
strid_bytes sim_keys_stored(const struct directory *directory, const struct sim_key *key,
                            uint8_t store, strid_bytes subkey, struct key_value *value);

#endif
