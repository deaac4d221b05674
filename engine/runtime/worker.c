#include "runtime/worker.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/committer.h"
#include "runtime/delivery.h"
#include "runtime/materialiser.h"
#include "runtime/reader.h"
#include "runtime/storage.h"

enum {
    WAKE_COMMITTER_EVERY = 8,
    KEPT_FACTOR = 4, /* a buffer that grew beyond so many times its bound is given back */
    PARK_NS = 10000000,
    IDLE_NS = 1000000 /* so long without a chunk is idle: a pause between two chunks is not */
};

void worker_init(struct worker *worker, struct run *run, uint32_t index, uint64_t cache_bytes)
{
    agent_init(&worker->agent, "strid-worker", worker_do_work, worker, PARK_NS);
    worker->run = run;
    worker->index = index;
    cache_init(&worker->cache, cache_bytes, run->directory->empty_state);
    route_table_init(&worker->routes, run->definition);
    worker->progress = memory_alloc_zeroed((run->partition_count + 1) * sizeof *worker->progress);
    worker->from_readers = memory_alloc_zeroed(run->reader_count * sizeof(struct ring *));
    for (uint32_t i = 0; i < WORKER_BLOCKS; i++) {
        struct sealed_block *block = memory_alloc_zeroed(sizeof *block);
        block->worker = index;
        block->outputs = memory_alloc_zeroed((run->delivery_count + 1) * sizeof *block->outputs);
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
    }
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

/* A few large values must not keep their memory for good. */
static void shrink(struct buffer *buffer, uint64_t bytes)
{
    if (buffer->capacity / KEPT_FACTOR > bytes)
        buffer_fini(buffer);
    buffer_clear(buffer);
}

/* A block to collect in: without one nothing can be handled. */
static bool open_block(struct worker *worker)
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
    shrink(&block->bytes, worker->run->options.block_bytes);
    for (uint32_t d = 0; d < worker->run->delivery_count; d++) {
        struct output_list *list = &block->outputs[d];
        shrink(&list->bytes, worker->run->options.output_bytes);
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

/* Packs what changed since the last block, hands it over and goes on. */
static void seal(struct worker *worker)
{
    struct run *run = worker->run;
    struct sealed_block *block = worker->block;
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
            bool pushed = ring_push(run->deliveries[d].from_workers[worker->index], block);
            STRID_ASSERT(
                pushed); /* rings to deliveries and storage hold all blocks of the worker */
            agent_wake(&run->deliveries[d].agent);
        }
    worker->block = NULL;
    bool pushed = ring_push(storage_from_worker(run->storage, worker->index), block);
    STRID_ASSERT(pushed);
    agent_wake(storage_agent(run->storage));
    agent_wake(committer_agent(run->committer));
    worker->unsent = 0;
    worker->open_chunks = 0;
    worker->dirty = false;
    worker->agent.park_ns = PARK_NS;
}

static size_t output_bytes(const struct worker *worker)
{
    size_t bytes = 0;
    for (uint32_t d = 0; d < worker->run->delivery_count; d++)
        bytes += worker->block->outputs[d].bytes.len;
    return bytes;
}

/* Whether it is time: by interval, by size, or because there is nothing else to do. */
static bool is_due(const struct worker *worker, bool idle, int64_t now)
{
    const struct run_options *options = &worker->run->options;
    if (worker->block == NULL || (worker->open_chunks == 0 && !worker->dirty))
        return false;
    if (worker->run->definition->durability == STRID_DURABILITY_STRICT)
        return true;
    bool all_back = worker->free_count == WORKER_BLOCKS - 1;
    if ((idle && all_back && !MUTANT(MUTANT_NEVER_DUE) && now - worker->busy_at_ns >= IDLE_NS) ||
        worker->starving || worker->cache.dirty_bytes >= options->block_bytes ||
        output_bytes(worker) >= options->output_bytes)
        return true;
    return now - worker->opened_at_ns >= options->seal_interval_ns && !MUTANT(MUTANT_NEVER_DUE);
}

static void dead_letter(struct worker *worker, struct chunk_slot *slot, const char *reason,
                        uint32_t attempts)
{
    struct run *run = worker->run;
    uint32_t dlq = run->delivery_count - 1;
    if (run->deliveries[dlq].instance->definition == NULL) {
        strid_error err = STRID_ERROR_INIT;
        (void)error_set(&err, STRID_ECONFIG, "worker",
                        "a record of %s has to be dead-lettered (%s), and there is no dead-letter "
                        "queue; add `dlq: { url: ... }` to the pipeline and run it again",
                        slot->record.origin->source, reason);
        run_fail(run, &err);
        worker->context.failed = true;
        return;
    }
    int64_t now = clock_wall_ms(run->clock);
    struct output_failure failure = {.reason = strid_bytes_of_text(reason),
                                     .attempts = attempts,
                                     .first_ms = now,
                                     .last_ms = now};
    output_put_dead_letter(&worker->block->outputs[dlq], worker->context.partition->index,
                           &slot->record, &failure);
    worker->context.output_count = 1;
    worker_count(&worker->counters.dead_lettered, 1);
}

/* A call that the watchdog told ran too long: what it did may be half done or late, so it counts as
 * a failed attempt; a rejection stays one. */
static strid_outcome outcome_of_late(struct worker *worker, strid_outcome outcome)
{
    worker_count(&worker->counters.timed_out, 1);
    if (outcome >= STRID_REJECT)
        return outcome;
    strid_set_reason(&worker->context, "timeout");
    return STRID_RETRY;
}

/* Every handler of the record's type, in one write set; the outcome is the worst of theirs. */
static strid_outcome call_handlers(struct worker *worker, struct chunk_slot *slot)
{
    const struct definition *definition = worker->run->definition;
    strid_outcome worst = STRID_DONE;
    const struct route *handlers = worker->context.route;
    for (uint32_t i = 0; i < handlers->handler_count; i++) {
        const struct route_definition *route = &definition->routes[handlers->handlers[i]];
        atomic_store_explicit(&worker->hand.route, handlers->handlers[i], memory_order_relaxed);
        atomic_store_explicit(&worker->hand.calls, ++worker->call_count, memory_order_relaxed);
        strid_outcome outcome = route->handler(&worker->context, &slot->record, route->user);
        /* relaxed: only the number matters, and a call that is told too late was in time */
        if (__builtin_expect(atomic_load_explicit(&worker->hand.overdue, memory_order_relaxed) ==
                                 worker->call_count,
                             0))
            outcome = outcome_of_late(worker, outcome);
        if (outcome > worst)
            worst = outcome;
        if (worst >= STRID_REJECT)
            return STRID_REJECT; /* also a number that is no outcome */
    }
    return worst;
}

/* What becomes of a record whose handlers have spoken; true: it is to be handled again at once. */
static bool settle(struct worker *worker, struct chunk_slot *slot, strid_outcome outcome)
{
    struct strid_context *context = &worker->context;
    char reason[CONTEXT_REASON_MAX + 32];
    switch (outcome) {
    case STRID_DONE:
        if (context->output_count > 0)
            worker_count(&worker->counters.outputs, context->output_count);
        context_merge(context);
        worker->tally.done++;
        return false;
    case STRID_SKIP:
        context_drop(context);
        worker->tally.skipped++;
        return false;
    case STRID_RETRY:
        context_drop(context);
        if (++context->attempt < worker->run->definition->max_attempts) {
            worker_count(&worker->counters.retried, 1);
            context->reason[0] = '\0'; /* of the attempt that failed */
            return true;
        }
        break;
    case STRID_REJECT:
        context_drop(context);
        context->attempt++;
        break;
    }
    (void)snprintf(reason, sizeof reason, "%s%s%s",
                   outcome == STRID_RETRY ? "attempts_exhausted" : "rejected",
                   context->reason[0] == '\0' ? "" : ": ", context->reason);
    dead_letter(worker, slot, reason, context->attempt);
    context_merge(context);
    return false;
}

static void handle(struct worker *worker, struct chunk_slot *slot, const struct worker_found *found)
{
    struct strid_context *context = &worker->context;
    context_begin(context, worker, slot, found);
    worker->tally.records++;
    if (__builtin_expect(slot->fault != NULL, 0)) {
        dead_letter(worker, slot, slot->fault, 0);
        context_merge(context);
        return;
    }
    if (found->route->handler_count == 0) {
        if (worker->run->definition->unrouted == DEFINITION_UNROUTED_DLQ) {
            dead_letter(worker, slot, "unrouted", 0);
            context_merge(context);
        } else {
            worker->tally.unrouted++;
        }
        return;
    }
    /* release: the watchdog that sees the slot sees what is in it */
    atomic_store_explicit(&worker->hand.slot, slot, memory_order_release);
    strid_outcome outcome = call_handlers(worker, slot);
    while (!context->failed && settle(worker, slot, outcome))
        outcome = call_handlers(worker, slot);
}

/* Whether an earlier run already applied the record: the table of its partition says how far each
 * vshard came. */
static bool is_replay(const struct partition *partition, const struct chunk_slot *slot)
{
    if (!partition->replays || MUTANT(MUTANT_NO_DEDUP) ||
        strid_position_compare(slot->record.position, partition->replay_to) > 0)
        return false;
    const struct directory_table *table = partition->stored->table;
    uint32_t vshard = (uint32_t)(slot->hash >> 56);
    return (table->known[vshard / 8] >> (vshard & 7) & 1) != 0 &&
           strid_position_compare(slot->record.position, table->applied[vshard]) <= 0;
}

static void count_chunk(struct worker *worker)
{
    struct worker_counters *counters = &worker->counters;
    const struct worker_tally *tally = &worker->tally;
    worker_count(&counters->records, tally->records);
    worker_count(&counters->done, tally->done);
    worker_count(&counters->skipped, tally->skipped);
    worker_count(&counters->unrouted, tally->unrouted);
    worker_count(&counters->replayed, tally->replayed);
    worker->tally = (struct worker_tally){0};
}

static void handle_chunk(struct worker *worker, struct chunk *chunk)
{
    struct run *run = worker->run;
    struct partition *partition = &run->partitions[chunk->partition];
    struct worker_progress *progress = &worker->progress[chunk->partition];
    worker->context.partition = partition;
    worker->context.failed = false;
    for (uint32_t i = 0; i < chunk->count && !worker->context.failed; i++) {
        struct chunk_slot *slot = &chunk->slots[i];
        if (is_replay(partition, slot)) {
            worker->tally.replayed++;
            continue;
        }
        STRID_DASSERT(!progress->any ||
                      strid_position_compare(progress->position, slot->record.position) < 0);
        handle(worker, slot, &worker->found[i]);
        if (worker->context.failed)
            break;
        /* Before anything else: what was merged may yet be sealed, also when the run is halted. */
        progress->position = slot->record.position;
        progress->any = progress->changed = true;
        if (run_stop(run) == RUN_HALT)
            break;
    }
    atomic_store_explicit(&worker->hand.slot, NULL, memory_order_release);
    count_chunk(worker);
}

static void complete(struct worker *worker, struct chunk *chunk, int64_t now)
{
    struct run *run = worker->run;
    chunk->block = worker->sequence;
    worker->busy_at_ns = now;
    if (worker->open_chunks++ == 0) {
        if (!worker->dirty)
            worker->opened_at_ns = now;
        worker->agent.park_ns = IDLE_NS; /* to see soon that nothing more comes */
    }
    bool pushed = ring_push(committer_from_worker(run->committer, worker->index), chunk);
    STRID_ASSERT(pushed); /* the ring holds all chunks of all readers */
    if (++worker->unsent >= WAKE_COMMITTER_EVERY) {
        agent_wake(committer_agent(run->committer));
        worker->unsent = 0;
    }
}

static struct chunk *next_chunk(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->run->reader_count; i++) {
        worker->next_reader = (worker->next_reader + 1) % worker->run->reader_count;
        struct chunk *chunk = ring_pop(worker->from_readers[worker->next_reader]);
        if (chunk != NULL)
            return chunk;
    }
    return NULL;
}

/* How many entries one chunk can add to the cache, in any one size. */
static uint32_t entries_of_chunk(const struct run *run)
{
    uint32_t stores = run->definition->store_count;
    return CHUNK_RECORDS_MAX * (stores < 2 ? 2 : stores) +
           (run->ttl_min_ms > 0 ? WORKER_SWEEP_ENTRIES : 0);
}

/* Whether another chunk may be taken now: there is a block to collect in (strict: every other one
 * came back, which they do synced), redo is within its bound, the cache has room. */
static bool may_go_on(struct worker *worker)
{
    struct run *run = worker->run;
    if (run_failed(run) || run_stop(run) == RUN_HALT || !open_block(worker))
        return false;
    if (run->definition->durability == STRID_DURABILITY_STRICT &&
        worker->free_count < WORKER_BLOCKS - 1)
        return false;
    if (materialiser_redo_bytes(run->materialiser) > (int64_t)run->options.redo_bytes)
        return false;
    uint64_t materialised = materialiser_sequence(run->materialiser, worker->index);
    worker->starving = !cache_make_room(&worker->cache, entries_of_chunk(run), materialised);
    if (worker->starving)
        materialiser_hurry(run->materialiser);
    return !worker->starving;
}

int worker_do_work(void *self)
{
    struct worker *worker = self;
    struct run *run = worker->run;
    int work = 0;
    int64_t now = clock_monotonic_ns(run->clock);
    bool may = may_go_on(worker);
    struct chunk *chunk = may ? next_chunk(worker) : NULL;
    if (run->ttl_min_ms > 0)
        worker->now_ms = clock_wall_ms(run->clock);
    if (chunk != NULL) {
        uint32_t epoch =
            atomic_load_explicit(&run->partitions[chunk->partition].epoch, memory_order_acquire);
        strid_error err = STRID_ERROR_INIT;
        chunk->dropped = chunk->epoch != epoch && !MUTANT(MUTANT_OLD_EPOCH);
        if (!chunk->dropped && worker_fetch(worker, chunk, &err) != STRID_OK) {
            run_fail(run, &err);
            return 0;
        }
        if (!chunk->dropped)
            handle_chunk(worker, chunk);
        /* A chunk that was not handled to its end is not reported: its round stays open, and is
         * read again. */
        if (worker->context.failed || run_stop(run) == RUN_HALT)
            return 0;
        complete(worker, chunk, now);
        work = 1;
    }
    if (may && run->ttl_min_ms > 0) {
        bool was_dirty = worker->dirty;
        work += worker_sweep(worker, chunk == NULL);
        if (worker->dirty && !was_dirty && worker->open_chunks == 0)
            worker->opened_at_ns = now;
    }
    if (!run_failed(run) && is_due(worker, chunk == NULL, now)) {
        seal(worker);
        work = 1;
    }
    if (work == 0 && worker->unsent > 0) {
        agent_wake(committer_agent(run->committer));
        worker->unsent = 0;
    }
    return work;
}
