/* How the memory of a pipeline is divided: `memory:` bounds the process, and every consumer of more
 * than a trifle has a share of it. Arithmetic only. docs/internals/state.md has the table.
 * @thread any */
#ifndef RUNTIME_BUDGET_H
#define RUNTIME_BUDGET_H

#include <stdint.h>

struct budget {
    uint64_t base;        /* program, libraries, stacks, RocksDB's own buffers */
    uint64_t chunks;      /* of all readers, with what large records add to them */
    uint64_t outputs;     /* that wait beside blocks */
    uint64_t outbox;      /* what is kept in memory of each letter that waits */
    uint64_t redo;        /* all that grows with blocks: BUDGET_REDO_PARTS times redo_bytes */
    uint64_t block_cache; /* of RocksDB, indexes and filters included */
    uint64_t caches;      /* of all workers */

    /* What follows from the shares. */
    uint32_t chunks_per_reader;
    uint64_t grown_bytes;  /* of a reader: arenas beyond their usual size */
    uint64_t redo_bytes;   /* of blocks that are not yet materialised */
    uint64_t block_bytes;  /* a block is sealed by size at the latest */
    uint64_t output_bytes; /* or by the bytes of its outputs */
    uint64_t outbox_refs;  /* of a worker */
    uint64_t write_buffer; /* of one memtable */
    uint64_t cache_bytes;  /* of a worker */
};

/* What redo_bytes of blocks cost, with half as much more that may be on its way when the bound is
 * met: memtables 4 (one of twice the bytes, and what lives of the one that is being flushed),
 * the write that is made up and the blocks of the workers 2, folding 4 (copies, items and their
 * spare). */
enum { BUDGET_REDO_PARTS = 10 };

/* The least that the command takes for so many threads. */
uint64_t budget_minimum(uint32_t workers, uint32_t readers);

/* Of a source that reads ahead (STRID_SOURCE_BUFFERED): what its queues may take. The rest is
 * divided among the others, so the minimum rises by it. */
uint64_t budget_source(uint64_t memory);

/* The default: a quarter of the machine, and no less than works. */
uint64_t budget_default(uint64_t machine, uint32_t workers, uint32_t readers);

/* The shares add up to `memory`. */
void budget_divide(uint64_t memory, uint32_t workers, uint32_t readers, struct budget *out);

#endif
