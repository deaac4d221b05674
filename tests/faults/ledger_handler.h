/* The handler of the ledger: an order-sensitive hash chain per key and partition, so that a lost, a
 * repeated and an overtaken record all show; a second store that has to agree with the first; an
 * output every `output_every` entries.
 *
 * Value of store "chains": for each partition 32 bytes, little-endian: count, sum, last sequence,
 * hash. hash = XXH64(partition u32 | position high u64 | position low u64 | value bytes, seed = the
 * hash before). Store "counts": how many entries of the key were done, over all partitions. */
#ifndef FAULTS_LEDGER_HANDLER_H
#define FAULTS_LEDGER_HANDLER_H

#include <strid/strid.h>

#include "faults/ledger_extra.h"
#include "faults/ledger_later.h"

enum { LEDGER_PARTITIONS_MAX = 8 };

struct ledger_handler {
    strid_store chains;
    strid_store counts;
    const struct ledger_extra *extra; /* NULL: none */
    strid_store extra_store;
    struct ledger_later *later;      /* completes what is deferred */
    uint32_t seq, amount, fate, crc; /* fields */
    uint32_t pace_us;                /* mean time that is spent on each record */
    uint32_t output_every;           /* 0: no outputs */
};

/* Declares stores, fields and the handler; `handler` has to outlive the pipeline. */
strid_status ledger_handler_register(struct ledger_handler *handler, strid_pipeline *pipeline,
                                     strid_error *err);

#endif
