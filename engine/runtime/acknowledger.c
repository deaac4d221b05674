#include "runtime/acknowledger.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/reader.h"
#include "runtime/storage.h"
#include "runtime/worker_applied.h"

enum { RING_BATCHES = 1024 };
static const int64_t patience_at_end_ns = 2000000000;

/* Of one worker, in the order in which they were sealed: those before `untold` are told. */
struct batches {
    struct ring *from, *back;
    struct applied_batch *first, *last, *untold;
};

struct acknowledger_partition {
    uint64_t told, acked;
    uint64_t rounds_taken, rounds_done;
};

struct acknowledger {
    struct run *run;
    struct batches *batches; /* per worker */
    struct acknowledger_partition *partitions;
    struct buffer positions;
    int64_t end_since_ns;
};

struct acknowledger *acknowledger_create(struct run *run)
{
    if ((run->source_ops->flags & STRID_SOURCE_UNORDERED) == 0)
        return NULL;
    struct acknowledger *acknowledger = memory_alloc_zeroed(sizeof *acknowledger);
    acknowledger->run = run;
    acknowledger->batches = memory_alloc_zeroed(run->worker_count * sizeof(struct batches));
    for (uint32_t w = 0; w < run->worker_count; w++) {
        acknowledger->batches[w].from = ring_create(RING_BATCHES);
        acknowledger->batches[w].back = ring_create(RING_BATCHES);
    }
    acknowledger->partitions =
        memory_alloc_zeroed((run->partition_count + 1) * sizeof *acknowledger->partitions);
    return acknowledger;
}

static void destroy_batches(struct batches *batches)
{
    struct applied_batch *batch;
    while ((batch = ring_pop(batches->from)) != NULL)
        applied_batch_destroy(batch);
    while ((batch = ring_pop(batches->back)) != NULL)
        applied_batch_destroy(batch);
    while ((batch = batches->first) != NULL) {
        batches->first = batch->behind;
        applied_batch_destroy(batch);
    }
    ring_destroy(batches->from);
    ring_destroy(batches->back);
}

void acknowledger_destroy(struct acknowledger *acknowledger)
{
    if (acknowledger == NULL)
        return;
    for (uint32_t w = 0; w < acknowledger->run->worker_count; w++)
        destroy_batches(&acknowledger->batches[w]);
    buffer_fini(&acknowledger->positions);
    memory_free(acknowledger->batches);
    memory_free(acknowledger->partitions);
    memory_free(acknowledger);
}

struct ring *acknowledger_from_worker(struct acknowledger *acknowledger, uint32_t worker)
{
    return acknowledger->batches[worker].from;
}

struct ring *acknowledger_to_worker(struct acknowledger *acknowledger, uint32_t worker)
{
    return acknowledger->batches[worker].back;
}

void acknowledger_look(struct acknowledger *acknowledger)
{
    struct run *run = acknowledger->run;
    for (uint32_t p = 0; p < run->partition_count; p++) {
        struct acknowledger_partition *partition = &acknowledger->partitions[p];
        partition->acked = run->source_ops->acked(run->source, p);
        STRID_ASSERT(partition->acked <= partition->told);
    }
}

void acknowledger_round_taken(struct acknowledger *acknowledger, uint32_t partition)
{
    acknowledger->partitions[partition].rounds_taken++;
}

void acknowledger_round_done(struct acknowledger *acknowledger, uint32_t partition)
{
    struct acknowledger_partition *at = &acknowledger->partitions[partition];
    at->rounds_done++;
    STRID_ASSERT(at->rounds_done <= at->rounds_taken);
}

static void take(struct batches *batches)
{
    struct applied_batch *batch;
    while ((batch = ring_pop(batches->from)) != NULL) {
        batch->behind = NULL;
        if (batches->first == NULL)
            batches->first = batch;
        else
            batches->last->behind = batch;
        batches->last = batch;
        if (batches->untold == NULL)
            batches->untold = batch;
    }
}

/* The positions of one partition as the source takes them. */
static void tell_partition(struct acknowledger *acknowledger, struct applied_batch *batch,
                           uint32_t partition)
{
    struct run *run = acknowledger->run;
    const struct applied_item *items = applied_batch_items(batch);
    struct buffer *positions = &acknowledger->positions;
    buffer_clear(positions);
    for (uint32_t i = 0; i < applied_batch_count(batch); i++)
        if (items[i].partition == partition)
            buffer_put(positions, &items[i].position, sizeof items[i].position);
    uint32_t count = (uint32_t)(positions->len / sizeof(strid_position));
    acknowledger->partitions[partition].told += count;
    batch->targets[partition] = acknowledger->partitions[partition].told;
    if (count > 0)
        run->source_ops->ack_many(run->source, partition,
                                  (const strid_position *)(const void *)positions->data, count);
}

static int tell(struct acknowledger *acknowledger, uint32_t worker)
{
    struct run *run = acknowledger->run;
    struct batches *batches = &acknowledger->batches[worker];
    uint64_t synced = storage_synced_sequence(run->storage, worker);
    int work = 0;
    while (batches->untold != NULL &&
           (batches->untold->block <= synced || MUTANT(MUTANT_ACK_BEFORE_SYNC))) {
        for (uint32_t p = 0; p < run->partition_count; p++)
            tell_partition(acknowledger, batches->untold, p);
        batches->untold = batches->untold->behind;
        work++;
    }
    return work;
}

/* A batch waits for confirmations, then for the rounds that were read before these. */
static bool reached(struct acknowledger *acknowledger, struct applied_batch *batch)
{
    if (batch->confirmed && MUTANT(MUTANT_FORGOTTEN_EARLY))
        return true;
    for (uint32_t p = 0; p < acknowledger->run->partition_count; p++) {
        const struct acknowledger_partition *partition = &acknowledger->partitions[p];
        if ((batch->confirmed ? partition->rounds_done : partition->acked) < batch->targets[p])
            return false;
    }
    return true;
}

static void confirm(struct acknowledger *acknowledger, struct applied_batch *batch)
{
    batch->confirmed = true;
    for (uint32_t p = 0; p < acknowledger->run->partition_count; p++)
        batch->targets[p] = acknowledger->partitions[p].rounds_taken;
}

static int give_back(struct acknowledger *acknowledger, uint32_t worker)
{
    struct batches *batches = &acknowledger->batches[worker];
    int work = 0;
    for (struct applied_batch *batch = batches->first; batch != batches->untold;
         batch = batch->behind)
        if (!batch->confirmed && reached(acknowledger, batch))
            confirm(acknowledger, batch);
    while (batches->first != batches->untold) {
        struct applied_batch *batch = batches->first, *behind = batch->behind;
        if (!batch->confirmed || !reached(acknowledger, batch) || !ring_push(batches->back, batch))
            break;
        batches->first = behind;
        work++;
    }
    if (work > 0)
        agent_wake(&acknowledger->run->workers[worker].agent);
    return work;
}

int acknowledger_do_work(struct acknowledger *acknowledger)
{
    const struct run *run = acknowledger->run;
    int work = 0;
    for (uint32_t w = 0; w < run->worker_count; w++) {
        take(&acknowledger->batches[w]);
        work += tell(acknowledger, w) + give_back(acknowledger, w);
    }
    for (uint32_t r = 0; work > 0 && r < run->reader_count; r++)
        agent_wake(&run->readers[r].agent);
    return work;
}

static bool all_forgotten(const struct run *run)
{
    for (uint32_t w = 0; w < run->worker_count; w++)
        if (!worker_applied_is_forgotten(&run->workers[w]))
            return false;
    return true;
}

bool acknowledger_gave_up(const struct acknowledger *acknowledger)
{
    return acknowledger->end_since_ns != 0 &&
           clock_monotonic_ns(acknowledger->run->clock) - acknowledger->end_since_ns >=
               patience_at_end_ns;
}

bool acknowledger_is_done(struct acknowledger *acknowledger)
{
    if (all_forgotten(acknowledger->run) || MUTANT(MUTANT_APPLIED_LEFT))
        return true;
    if (acknowledger->end_since_ns == 0)
        acknowledger->end_since_ns = clock_monotonic_ns(acknowledger->run->clock);
    return acknowledger_gave_up(acknowledger);
}
