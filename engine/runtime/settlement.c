#include "runtime/settlement.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/storage.h"
#include "runtime/worker.h"

/* A set of low positions, at most one for each partition. */
struct lows {
    strid_position *low; /* by partition */
    bool *has;
    uint32_t *partitions; /* those that have one */
    uint32_t count;
};

/* How far a worker was when a batch began. */
struct mark {
    uint64_t block;  /* which holds all that had been settled */
    uint64_t letter; /* the last one */
};

struct settlement {
    struct run *run;
    struct lows added, batch;
    struct mark *marks;
    bool is_ripe; /* the batch may be told */
};

static void init_lows(struct lows *lows, uint32_t partitions)
{
    lows->low = memory_alloc_zeroed((partitions + 1) * sizeof *lows->low);
    lows->has = memory_alloc_zeroed((partitions + 1) * sizeof *lows->has);
    lows->partitions = memory_alloc_zeroed((partitions + 1) * sizeof *lows->partitions);
}

static void fini_lows(struct lows *lows)
{
    memory_free(lows->low);
    memory_free(lows->has);
    memory_free(lows->partitions);
}

struct settlement *settlement_create(struct run *run)
{
    if (run->source_ops->is_shared == NULL || !run->source_ops->is_shared(run->source))
        return NULL;
    struct settlement *settlement = memory_alloc_zeroed(sizeof *settlement);
    settlement->run = run;
    settlement->marks = memory_alloc_zeroed(run->worker_count * sizeof *settlement->marks);
    init_lows(&settlement->added, run->partition_count);
    init_lows(&settlement->batch, run->partition_count);
    return settlement;
}

void settlement_destroy(struct settlement *settlement)
{
    if (settlement == NULL)
        return;
    fini_lows(&settlement->added);
    fini_lows(&settlement->batch);
    memory_free(settlement->marks);
    memory_free(settlement);
}

void settlement_add(struct settlement *settlement, uint32_t partition, strid_position low)
{
    struct lows *lows = &settlement->added;
    STRID_ASSERT(partition < settlement->run->partition_count);
    if (!lows->has[partition])
        lows->partitions[lows->count++] = partition;
    lows->has[partition] = true;
    lows->low[partition] = low;
}

/* Of any partition: a record may be parked behind one of another partition with the same key. What
 * a worker did with a record it shows before it gives the chunk back, so who has the record's low
 * position sees it here. */
static bool anything_waits(const struct run *run)
{
    for (uint32_t w = 0; w < run->worker_count; w++) {
        const struct worker *worker = &run->workers[w];
        if (!atomic_load_explicit(&worker->retry.known, memory_order_acquire) ||
            !atomic_load_explicit(&worker->outbox.loaded, memory_order_acquire) ||
            atomic_load_explicit(&worker->retry.open_records, memory_order_acquire) != 0 ||
            atomic_load_explicit(&worker->deferred.open_shown, memory_order_acquire) != 0)
            return true;
    }
    return false;
}

static void begin_batch(struct settlement *settlement)
{
    const struct run *run = settlement->run;
    struct lows empty = settlement->batch;
    STRID_ASSERT(empty.count == 0);
    settlement->batch = settlement->added;
    settlement->added = empty;
    settlement->is_ripe = false;
    for (uint32_t w = 0; w < run->worker_count; w++)
        settlement->marks[w] = (struct mark){
            /* relaxed: written before the number of waiting records, which was acquired */
            .block = atomic_load_explicit(&run->workers[w].retry.sequence, memory_order_relaxed),
            .letter = outbox_added(&run->workers[w].outbox)};
}

static bool is_ripe(const struct settlement *settlement)
{
    const struct run *run = settlement->run;
    for (uint32_t w = 0; w < run->worker_count; w++)
        if (storage_synced_sequence(run->storage, w) < settlement->marks[w].block ||
            !outbox_is_past(&run->workers[w].outbox, settlement->marks[w].letter))
            return MUTANT(MUTANT_SHARED_EARLY);
    return true;
}

void settlement_look(struct settlement *settlement)
{
    if (settlement->batch.count == 0 && settlement->added.count > 0 &&
        (!anything_waits(settlement->run) || MUTANT(MUTANT_SHARED_WAITS)))
        begin_batch(settlement);
    if (settlement->batch.count > 0 && !settlement->is_ripe)
        settlement->is_ripe = is_ripe(settlement);
}

bool settlement_take(struct settlement *settlement, uint32_t *partition, strid_position *low)
{
    struct lows *batch = &settlement->batch;
    if (!settlement->is_ripe || batch->count == 0)
        return false;
    *partition = batch->partitions[--batch->count];
    *low = batch->low[*partition];
    batch->has[*partition] = false;
    return true;
}

bool settlement_is_done(const struct settlement *settlement)
{
    if (settlement->batch.count > 0)
        return false;
    return settlement->added.count == 0 || anything_waits(settlement->run);
}
