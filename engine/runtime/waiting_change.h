/* What changed of the waiting keys of a worker since its last block was sealed: which heads are to
 * be written, and copies of records that no block holds yet. They go to the stores with the seal,
 * so that what begins and ends to wait within one block costs neither the cache nor the block
 * anything. Bounded as blocks are: `bytes` counts for the open one.
 * @thread worker (the owner) @locks none */
#ifndef RUNTIME_WAITING_CHANGE_H
#define RUNTIME_WAITING_CHANGE_H

#include "runtime/waiting.h"

struct waiting_copy {
    struct waiting_copy *next; /* of the same key, in the order of arrival */
    uint64_t seq;
    size_t len;
    uint8_t bytes[]; /* as retry_record_put() makes them */
};

struct waiting_change {
    struct waiting_key *key; /* its `changed_at` names this place */
    struct waiting_copy *first, *last;
};

struct waiting_changes { /* a zeroed struct is an empty list */
    struct waiting_change *list;
    uint32_t count, capacity;
    uint64_t entries;     /* that the seal will put into the stores */
    uint64_t bytes;       /* about what they take in a block */
    struct spares spares; /* copies that were settled */
    bool has_positions;   /* each copy has an entry of its position, too */
};

void waiting_change_fini(struct waiting_changes *changes);

/* The head of the key is to be written. */
void waiting_change_note(struct waiting_changes *changes, struct waiting_key *key);
/* So is the record, which is now the last one of the key; its bytes are copied. */
void waiting_change_add(struct waiting_changes *changes, struct waiting_key *key, uint64_t seq,
                        strid_bytes record);

/* The first record of the key, while no block holds it; NULL: one does. Lives until it is settled
 * or the block sealed. */
const struct waiting_copy *waiting_change_first(const struct waiting_changes *changes,
                                                const struct waiting_key *key);
/* That record is settled: nothing is left of it. */
void waiting_change_settle(struct waiting_changes *changes, const struct waiting_key *key);

/* The key no longer waits. */
void waiting_change_drop(struct waiting_changes *changes, struct waiting_key *key);
/* The block holds all of it. */
void waiting_change_clear(struct waiting_changes *changes);

#endif
