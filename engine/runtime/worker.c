#include "runtime/worker.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/committer.h"
#include "runtime/deferral.h"
#include "runtime/materialiser.h"
#include "runtime/storage.h"
#include "runtime/worker_applied.h"
#include "runtime/worker_deferred.h"
#include "runtime/worker_part.h"
#include "runtime/worker_retry.h"
#include "runtime/worker_retry_store.h"

enum {
    WAKE_COMMITTER_EVERY = 8,         /* chunks */
    WAKE_COMMITTER_AFTER_NS = 2000000 /* at the latest behind the next chunk */
};

void worker_init(struct worker *worker, struct run *run, uint32_t index, uint64_t cache_bytes)
{
    agent_init(&worker->agent, "strid-worker", worker_do_work, worker, WORKER_PARK_NS);
    worker->run = run;
    worker->index = index;
    cache_init(&worker->cache, cache_bytes, run->directory->empty_state);
    route_table_init(&worker->routes, run->definition);
    deferral_attach(run->deferrals, index, &worker->agent);
    worker->mark = &run->suspects.slots.file->slots[index];
    outbox_init(&worker->outbox);
    worker_retry_init(worker);
    worker->progress = memory_alloc_zeroed((run->partition_count + 1) * sizeof *worker->progress);
    worker->from_readers = memory_alloc_zeroed(run->reader_count * sizeof(struct ring *));
    worker_applied_init(worker);
    for (uint32_t i = 0; i < WORKER_BLOCKS; i++) {
        struct sealed_block *block = memory_alloc_zeroed(sizeof *block);
        block->worker = index;
        block->outputs = memory_alloc_zeroed((run->delivery_count + 1) * sizeof *block->outputs);
        for (uint32_t d = 0; d < run->delivery_count; d++)
            block->outputs[d].block = block;
        worker->blocks[i] = worker->free_blocks[worker->free_count++] = block;
    }
}

void worker_fini(struct worker *worker)
{
    for (uint32_t i = 0; i < WORKER_BLOCKS; i++) {
        struct sealed_block *block = worker->blocks[i];
        if (block == NULL)
            continue;
        for (uint32_t d = 0; d < worker->run->delivery_count; d++)
            buffer_fini(&block->outputs[d].bytes);
        memory_free(block->outputs);
        buffer_fini(&block->bytes);
        memory_free(block);
    }
    if (worker->run != NULL) {
        cache_fini(&worker->cache);
        route_table_fini(&worker->routes);
        outbox_fini(&worker->outbox);
    }
    worker_applied_fini(worker);
    worker_retry_fini(worker);
    worker_deferred_fini(worker);
    context_sub_fini(&worker->context);
    context_free_outgrown(&worker->context);
    buffer_fini(&worker->context.outgrown);
    buffer_fini(&worker->context.bytes);
    buffer_fini(&worker->sweep.from);
    buffer_fini(&worker->fetch_bytes);
    buffer_fini(&worker->fetch_keys);
    buffer_fini(&worker->fetch_misses);
    buffer_fini(&worker->sub_name);
    memory_free(worker->progress);
    memory_free(worker->from_readers);
}

/* Chunks that were handled are told: some share a wake-up. */
static void wake_committer(struct worker *worker)
{
    agent_wake(committer_agent(worker->run->committer));
    worker->unsent = 0;
}

static void complete(struct worker *worker, struct chunk *chunk, int64_t now)
{
    struct run *run = worker->run;
    chunk->block = worker->sequence;
    worker->busy_at_ns = now;
    if (worker->open_chunks++ == 0 && !worker->dirty)
        worker->opened_at_ns = now;
    bool pushed = ring_push(committer_from_worker(run->committer, worker->index), chunk);
    STRID_ASSERT(pushed); /* the ring holds all chunks of all readers */
    if (worker->unsent++ == 0)
        worker->unsent_since_ns = now;
    if (worker->unsent >= WAKE_COMMITTER_EVERY)
        wake_committer(worker);
}

static struct chunk *next_chunk(struct worker *worker)
{
    struct chunk *held = worker->held;
    if (held != NULL) {
        worker->held = NULL;
        return held;
    }
    for (uint32_t i = 0; i < worker->run->reader_count; i++) {
        worker->next_reader = (worker->next_reader + 1) % worker->run->reader_count;
        struct chunk *chunk = ring_pop(worker->from_readers[worker->next_reader]);
        if (chunk != NULL)
            return chunk;
    }
    return NULL;
}

/* How many entries one step can add to the cache, in any one size. */
static uint32_t entries_of_step(const struct worker *worker)
{
    const struct run *run = worker->run;
    bool outbox_is_empty = worker->outbox.entries == 0;
    uint32_t stores = run->definition->store_count;
    uint32_t settled = worker_retry_store_entries(worker);
    return CHUNK_RECORDS_MAX * (stores < 2 ? 2 : stores) +
           (run->ttl_min_ms > 0 ? WORKER_SWEEP_ENTRIES : 0) +
           (outbox_is_empty ? 0 : OUTBOX_LETTERS) +
           (worker->retry.waiting.count > 0 ? WORKER_RETRY_RECORDS * settled : 0) +
           (uint32_t)worker->retry.changes.entries +
           (worker->deferred.open > 0 ? WORKER_DEFERRED_RECORDS * (stores + settled) : 0);
}

/* Neither a worker that runs a suspect alone nor too many deferred outcomes are in the way. */
static bool may_handle(struct worker *worker)
{
    return !(suspect_any(&worker->run->suspects) && !suspect_may_pass(worker)) &&
           !worker_deferred_is_full(worker) && !outbox_is_full(worker);
}

/* Whether another chunk may be taken now: there is a block to collect in (strict: every other one
 * came back, which they do synced), redo is within its bound, the cache has room. */
static bool may_go_on(struct worker *worker)
{
    struct run *run = worker->run;
    if (run_failed(run) || run_stop(run) == RUN_HALT || !worker_block_open(worker))
        return false;
    if (run->definition->durability == STRID_DURABILITY_STRICT &&
        worker->free_count < WORKER_BLOCKS - 1)
        return false;
    if (materialiser_redo_bytes(run->materialiser) > (int64_t)run->options.redo_bytes)
        return false;
    uint64_t materialised = materialiser_sequence(run->materialiser, worker->index);
    if (worker->cache.gone_end > 0)
        cache_forget(&worker->cache, materialised);
    worker->starving = !cache_make_room(&worker->cache, entries_of_step(worker), materialised);
    if (worker->starving)
        materialiser_hurry(run->materialiser);
    return !worker->starving;
}

/* The chunk to handle now; NULL: there is none, or it has to wait. */
static struct chunk *take_chunk(struct worker *worker)
{
    struct chunk *chunk = next_chunk(worker);
    if (suspect_any(&worker->run->suspects) && chunk != NULL &&
        !worker_suspect_is_ready(worker, chunk)) {
        worker->held = chunk;
        return NULL;
    }
    return chunk;
}

/* The rest of the chunk follows in the next step, before any other. */
static void hold_rest(struct worker *worker, struct chunk *chunk, int64_t now)
{
    worker->held = chunk;
    worker->busy_at_ns = now;
    if (!worker->dirty && worker->open_chunks == 0)
        worker->opened_at_ns = now;
    worker->dirty = true; /* at least how far the worker came */
}

/* A chunk, or the next part of it. false: the run ends. A chunk that was not handled to its end is
 * not reported: its round stays open, and is read again. */
static bool handle_chunk(struct worker *worker, struct chunk *chunk, int64_t now)
{
    struct run *run = worker->run;
    uint32_t epoch =
        atomic_load_explicit(&run->partitions[chunk->partition].epoch, memory_order_acquire);
    strid_error err = STRID_ERROR_INIT;
    chunk->dropped = chunk->epoch != epoch && !MUTANT(MUTANT_OLD_EPOCH);
    if (!chunk->dropped && worker_fetch(worker, chunk, &err) != STRID_OK) {
        run_fail(run, &err);
        return false;
    }
    if (!chunk->dropped)
        worker_handle_part(worker, chunk);
    worker_deferred_withdraw(worker);
    if (worker->context.failed || run_stop(run) == RUN_HALT)
        return false;
    if (!chunk->dropped && worker->part.next < chunk->count) {
        hold_rest(worker, chunk, now);
        return true;
    }
    worker->part.next = 0;
    complete(worker, chunk, now);
    return true;
}

/* Records whose outcome came, then those whose time has come. */
static int step_waiting(struct worker *worker, bool handles)
{
    int settled = worker->deferred.open == 0 ? 0 : worker_deferred_step(worker);
    if (handles && !worker->context.failed)
        settled += worker_retry_step(worker);
    return settled;
}

/* Until the block is due or a waiting record is. What nobody else tells it of, or what is in its
 * way now, is looked at again soon. */
static int64_t rest_ns(const struct worker *worker, bool handles, int64_t now)
{
    const struct run *run = worker->run;
    if (worker->open_chunks > 0)
        return worker_block_wait_ns(worker, now);
    if (!handles || worker->dirty || worker->held != NULL || worker->deferred.open > 0 ||
        worker->outbox.entries > 0 || run->ttl_min_ms > 0 || run->acknowledger != NULL ||
        run_stop(run) != RUN_CONTINUE)
        return WORKER_PARK_NS;
    if (worker->retry.waiting.count == 0)
        return AGENT_REST_NS;
    int64_t left_ms = waiting_next_ms(&worker->retry.waiting) - clock_wall_ms(run->clock);
    if (left_ms <= 0)
        return WORKER_PARK_NS;
    return left_ms >= AGENT_REST_NS / 1000000 ? AGENT_REST_NS : left_ms * 1000000;
}

static void prepare_to_park(struct worker *worker, bool handles, int64_t now)
{
    if (worker->unsent > 0)
        wake_committer(worker);
    worker->agent.park_ns = rest_ns(worker, handles, now);
}

int worker_do_work(void *self)
{
    struct worker *worker = self;
    struct run *run = worker->run;
    int work = 0, handled = 0;
    int64_t now = clock_monotonic_ns(run->clock);
    if (__builtin_expect(!worker->retry.loaded, 0) && !worker_retry_load(worker))
        return 0;
    /* Handlers may take long: the committer is not to wait for those of eight chunks. */
    if (worker->unsent > 0 && now - worker->unsent_since_ns >= WAKE_COMMITTER_AFTER_NS)
        wake_committer(worker);
    bool may = may_go_on(worker);
    if (may)
        work += outbox_step(worker);
    if (may && run_failed(run))
        return 0;
    bool handles = may && may_handle(worker);
    worker->wants_gate = false;
    struct chunk *chunk = handles ? take_chunk(worker) : NULL;
    if (run->ttl_min_ms > 0 && !(chunk == NULL && MUTANT(MUTANT_TIME_STANDS)))
        worker->now_ms = clock_wall_ms(run->clock);
    if (chunk != NULL) {
        if (!handle_chunk(worker, chunk, now))
            return 0;
        work++;
    }
    if (may && worker->retry.waiting.count > 0 && !outbox_is_full(worker)) {
        worker_part_begin(worker);
        handled = step_waiting(worker, handles);
        if (worker->context.failed)
            return 0;
        if (handled > 0)
            worker->busy_at_ns = now;
        work += handled;
    }
    if (may && worker->has_gate && !worker->wants_gate)
        suspect_leave_gate(worker);
    if (may && run->ttl_min_ms > 0) {
        bool was_dirty = worker->dirty;
        work += worker_sweep(worker, chunk == NULL);
        if (worker->dirty && !was_dirty && worker->open_chunks == 0)
            worker->opened_at_ns = now;
    }
    work += worker_applied_do_work(worker, may);
    if (!run_failed(run) && worker_block_is_due(worker, chunk == NULL && handled == 0, now)) {
        worker_block_seal(worker);
        work = 1;
    }
    if (work == 0)
        prepare_to_park(worker, handles, now);
    return work;
}
