#include "runtime/budget.h"

#include "base/assert.h"
#include "runtime/chunk.h"
#include "runtime/worker.h"

#define MIB (UINT64_C(1) << 20)

/* Measured: docs/internals/state.md. */
static const uint64_t base_bytes = 32 * MIB;
static const uint64_t worker_min = 6 * MIB;
static const uint64_t reader_min = 2 * MIB;
static const uint64_t default_min = 256 * MIB;
static const uint64_t redo_bytes_max = 128 * MIB;
static const uint64_t output_bytes_max = 1 * MIB;
static const uint64_t outbox_refs_max = 64 * MIB;
static const uint64_t block_bytes_min = UINT64_C(32) << 10;
static const uint64_t grown_max = 16 * MIB;
static const uint64_t source_max = 256 * MIB;

enum {
    CHUNKS_PERCENT = 5,
    OUTPUTS_PERCENT = 3,
    OUTBOX_PERCENT = 1,
    REDO_PERCENT = 32,
    BLOCK_CACHE_PERCENT = 14, /* caches: the rest */
    CHUNKS_MAX = 64,          /* of a reader, and two for each worker */
    CHUNK_BYTES = CHUNK_ARENA_BYTES + sizeof(struct chunk),
    /* All blocks of the workers together, of redo. The larger a block, the more changes of a key
     * become one entry; but where redo is at its bound each open block may still go beyond it. */
    IN_FLIGHT_PERCENT = 75,
    GROWTH = 2, /* a buffer that grows by doubling may be twice as large as what is in it */
    PAIR = 2    /* a memtable holds twice the bytes of redo, so that blocks die in it */
};

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }

uint64_t budget_minimum(uint32_t workers, uint32_t readers)
{
    return base_bytes + workers * worker_min + readers * reader_min;
}

uint64_t budget_default(uint64_t machine, uint32_t workers, uint32_t readers)
{
    return most(most(machine / 4, default_min), budget_minimum(workers, readers));
}

/* At 1/8 the rest keeps the least it needs from 8/7 of the minimum on. */
uint64_t budget_source(uint64_t memory) { return least(memory / 8, source_max); }

/* Some chunks for each worker in any case: a reader has one open for each. Half of the share is for
 * the usual chunks, half for what large records add. */
static void divide_chunks(struct budget *out, uint32_t workers, uint32_t readers)
{
    uint32_t chunks_max = CHUNKS_MAX + 2 * workers;
    uint64_t each = out->chunks / readers;
    uint64_t count = each / 2 / CHUNK_BYTES;
    out->chunks_per_reader = (uint32_t)least(most(count, workers + 2), chunks_max);
    uint64_t usual = (uint64_t)out->chunks_per_reader * CHUNK_BYTES;
    out->grown_bytes = each > usual ? each - usual : 0;
}

void budget_divide(uint64_t memory, uint32_t workers, uint32_t readers, struct budget *out)
{
    STRID_ASSERT(workers > 0 && readers > 0);
    /* A host program may give less than the command takes: its own process is there anyway. */
    uint64_t base = least(base_bytes, memory / 4);
    uint64_t rest = memory - base;
    *out = (struct budget){.base = base};
    uint64_t chunks_max =
        readers * ((CHUNKS_MAX + 2 * (uint64_t)workers) * CHUNK_BYTES + grown_max);
    uint64_t blocks = (uint64_t)workers * WORKER_BLOCKS;
    out->chunks = least(rest / 100 * CHUNKS_PERCENT, chunks_max);
    out->outputs = least(rest / 100 * OUTPUTS_PERCENT, blocks * output_bytes_max * GROWTH);
    out->outbox = least(rest / 100 * OUTBOX_PERCENT, workers * outbox_refs_max * GROWTH);
    out->redo = least(rest / 100 * REDO_PERCENT, redo_bytes_max * BUDGET_REDO_PARTS);
    out->block_cache = rest / 100 * BLOCK_CACHE_PERCENT;
    out->caches = rest - out->chunks - out->outputs - out->outbox - out->redo - out->block_cache;
    divide_chunks(out, workers, readers);
    out->redo_bytes = out->redo / BUDGET_REDO_PARTS;
    out->block_bytes = most(out->redo_bytes / 100 * IN_FLIGHT_PERCENT / blocks, block_bytes_min);
    out->output_bytes = out->outputs / blocks / GROWTH;
    out->outbox_refs = most(out->outbox / workers / GROWTH, 1); /* at 0 it would always be full */
    out->write_buffer = PAIR * out->redo_bytes;
    out->cache_bytes = out->caches / workers;
}
