#include "runtime/worker.h"

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/mutant.h"
#include "runtime/committer.h"
#include "runtime/delivery.h"
#include "runtime/materialiser.h"
#include "runtime/storage.h"
#include "runtime/worker_applied.h"
#include "runtime/worker_retry_mark.h"
#include "runtime/worker_retry_store.h"

enum {
    KEPT_FACTOR = 4, /* a buffer that grew beyond so many times its bound is given back */
    ROOM_PART = 8
};

/* A few large values must not keep their memory for good. */
static void shrink(struct buffer *buffer, uint64_t bytes)
{
    if (buffer->capacity / KEPT_FACTOR > bytes)
        buffer_fini(buffer);
    buffer_clear(buffer);
}

/* Its room at once, and some for the chunk that goes beyond the bound: a block that grows while it
 * is filled allocates and copies a dozen times, and which block that is depends on how many are on
 * their way. What is not written to takes no memory. */
static void make_room(struct buffer *buffer, uint64_t bytes)
{
    shrink(buffer, bytes);
    (void)buffer_reserve(buffer, bytes + bytes / ROOM_PART);
}

bool worker_block_open(struct worker *worker)
{
    struct sealed_block *block;
    while ((block = ring_pop(storage_to_worker(worker->run->storage, worker->index))) != NULL)
        worker->free_blocks[worker->free_count++] = block;
    if (worker->block != NULL)
        return true;
    if (worker->free_count == 0)
        return false;
    block = worker->free_blocks[--worker->free_count];
    block->sequence = ++worker->sequence;
    block->output_count = 0;
    make_room(&block->bytes, worker->run->options.block_bytes);
    for (uint32_t d = 0; d < worker->run->delivery_count; d++) {
        struct output_list *list = &block->outputs[d];
        make_room(&list->bytes, worker->run->options.output_bytes);
        list->count = list->kept_count = 0;
        list->kept_len = 0;
    }
    worker->block = block;
    return true;
}

static uint32_t pack_progress(struct worker *worker, struct buffer *bytes)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < worker->run->partition_count; p++) {
        struct worker_progress *progress = &worker->progress[p];
        if (!progress->changed)
            continue;
        progress->changed = false;
        block_put_progress(
            bytes, &(struct block_progress){.partition = worker->run->partitions[p].stored->number,
                                            .position = progress->position});
        count++;
    }
    return count;
}

void worker_block_seal(struct worker *worker)
{
    struct run *run = worker->run;
    struct sealed_block *block = worker->block;
    worker_applied_seal(worker);
    worker_retry_store_seal(worker);
    worker_retry_mark_seal(worker);
    block_begin(&block->bytes);
    uint32_t progress = pack_progress(worker, &block->bytes);
    uint32_t states = cache_pack(&worker->cache, &block->bytes, block->sequence);
    block_end(&block->bytes, run->directory->run.run, worker->index, block->sequence, progress,
              states);
    uint32_t pending = 0;
    for (uint32_t d = 0; d < run->delivery_count; d++)
        pending += block->outputs[d].count > 0;
    atomic_store_explicit(&block->pending, pending,
                          memory_order_relaxed); /* the rings publish it */
    CRASH_POINT("worker_block_sealed");
    for (uint32_t d = 0; d < run->delivery_count && pending > 0; d++)
        if (block->outputs[d].count > 0) {
            bool pushed =
                ring_push(run->deliveries[d].from_workers[worker->index], &block->outputs[d]);
            /* rings to deliveries and storage hold all blocks of the worker */
            STRID_ASSERT(pushed);
            agent_wake(&run->deliveries[d].agent);
        }
    worker->block = NULL;
    worker_applied_sealed(worker);
    /* Before it is written, so that the bound holds for what is on its way, too. */
    materialiser_add_redo(run->materialiser, (int64_t)block->bytes.len);
    bool pushed = ring_push(storage_from_worker(run->storage, worker->index), block);
    STRID_ASSERT(pushed);
    agent_wake(storage_agent(run->storage));
    agent_wake(committer_agent(run->committer));
    worker->unsent = 0;
    worker->open_chunks = 0;
    worker->dirty = false;
    worker->agent.park_ns = WORKER_PARK_NS;
}

static size_t output_bytes(const struct worker *worker)
{
    size_t bytes = 0;
    for (uint32_t d = 0; d < worker->run->delivery_count; d++)
        bytes += worker->block->outputs[d].bytes.len;
    return bytes;
}

/* What comes in bursts comes in more of them: a pause ends a block that holds much only once it is
 * as long as the block has collected. So a block is there at most twice as late as it would be if
 * it were known that nothing more comes, and a source that pauses after each of its own reads does
 * not make its worker seal, sync and materialise after each. */
static int64_t idle_after_ns(const struct worker *worker)
{
    int64_t collected_ns = worker->busy_at_ns - worker->opened_at_ns;
    if (collected_ns > WORKER_IDLE_MAX_NS)
        return WORKER_IDLE_MAX_NS;
    return collected_ns > WORKER_IDLE_NS ? collected_ns : WORKER_IDLE_NS;
}

int64_t worker_block_wait_ns(const struct worker *worker, int64_t now)
{
    int64_t left_ns = worker->busy_at_ns + idle_after_ns(worker) - now;
    return left_ns > 0 ? left_ns : WORKER_IDLE_NS; /* due, but another one is still on its way */
}

bool worker_block_is_due(const struct worker *worker, bool idle, int64_t now)
{
    const struct run_options *options = &worker->run->options;
    if (worker->block == NULL || (worker->open_chunks == 0 && !worker->dirty))
        return false;
    if (worker->run->definition->durability == STRID_DURABILITY_STRICT)
        return true;
    bool all_back = worker->free_count == WORKER_BLOCKS - 1;
    if ((idle && all_back && !MUTANT(MUTANT_NEVER_DUE) &&
         now - worker->busy_at_ns >= idle_after_ns(worker)) ||
        worker->starving ||
        worker->cache.dirty_bytes + worker->retry.changes.bytes >= options->block_bytes ||
        output_bytes(worker) >= options->output_bytes)
        return true;
    return now - worker->opened_at_ns >= options->seal_interval_ns && !MUTANT(MUTANT_NEVER_DUE);
}
