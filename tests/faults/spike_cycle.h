/* The cycle of a state directory through the store contract alone, as small as it can be: blocks,
 * syncs, a sorted file, its ingestion, the deletion of blocks. Records are numbers 1, 2, 3...; each
 * belongs to a key and changes that key's chain of hashes, so that a record that is lost, repeated
 * or out of order shows. docs/internals/state.md says what it taught.
 *
 *   w/<number>  one block: through which record it goes, and the keys that changed, whole values
 *   s/<key>     state, by bulk load only
 *   p           through which block state has been loaded, and through which record that goes
 *
 * @thread one */
#ifndef SPIKE_CYCLE_H
#define SPIKE_CYCLE_H

#include "state/store.h"

enum { SPIKE_KEYS = 64, SPIKE_BLOCK_RECORDS = 40, SPIKE_SYNC_BLOCKS = 3, SPIKE_LOAD_BLOCKS = 6 };

struct spike_chains {
    uint64_t at[SPIKE_KEYS]; /* 0: absent */
};

/* Lives in memory that outlives the process: what it was told of success. */
struct spike_report {
    _Atomic uint64_t applied; /* the last record of the last block that apply returned for */
    _Atomic uint64_t synced;  /* the last record that a sync returned for */
    _Atomic uint64_t loads;
};

struct spike_cycle {
    struct store *store;
    struct spike_chains chains;
    uint64_t record;       /* the last one that a block holds */
    uint64_t block;        /* the last number given out */
    uint64_t loaded_block; /* blocks up to here are in s, and deleted */
    uint64_t synced_block;
    bool unsafe; /* loads what is not synced: a power loss has to show it */
};

/* What is right after records 1 to `record`. */
void spike_chains_after(struct spike_chains *chains, uint64_t record);

/* Reads what the store holds: state, then blocks over it in their order. Text of what is wrong with
 * it, or NULL. */
const char *spike_cycle_recover(struct spike_cycle *cycle, struct store *store);
/* Goes on to record `until`; `report` may be NULL. */
strid_status spike_cycle_run(struct spike_cycle *cycle, uint64_t until, struct spike_report *report,
                             strid_error *err);

#endif
