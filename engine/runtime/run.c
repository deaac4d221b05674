#include "runtime/run.h"

#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"
#include "runtime/acknowledger.h"
#include "runtime/committer.h"
#include "runtime/deferral.h"
#include "runtime/delivery.h"
#include "runtime/materialiser.h"
#include "runtime/reader.h"
#include "runtime/run_open.h"
#include "runtime/storage.h"
#include "runtime/worker.h"
#include "runtime/worker_applied.h"

enum { RUN_AGENTS_MAX = 1024 };

static strid_status make_agents(struct run *run, strid_error *err)
{
    run->reader_count = run->options.readers;
    if (run->reader_count > run->partition_count)
        run->reader_count = run->partition_count == 0 ? 1 : run->partition_count;
    run->delivery_count = run->definition->sink_count + 1;
    run->storage = storage_create(run);
    run->materialiser = materialiser_create(run);
    run->committer = committer_create(run);
    run->acknowledger = acknowledger_create(run);
    run->deliveries = memory_alloc_zeroed(run->delivery_count * sizeof *run->deliveries);
    for (uint32_t d = 0; d < run->delivery_count; d++)
        delivery_init(&run->deliveries[d], run, d, &run->options.sinks[d]);
    run->workers = memory_alloc_aligned(RUN_SPAN, run->worker_count * sizeof *run->workers);
    for (uint32_t w = 0; w < run->worker_count; w++)
        worker_init(&run->workers[w], run, w, run->options.cache_bytes);
    for (uint32_t w = 0; w < run->worker_count; w++)
        STRID_TRY(worker_applied_load(&run->workers[w], err));
    run->readers = memory_alloc_aligned(RUN_SPAN, run->reader_count * sizeof *run->readers);
    for (uint32_t r = 0; r < run->reader_count; r++) {
        strid_status status = reader_init(&run->readers[r], run, r, err);
        if (status != STRID_OK)
            return status;
        for (uint32_t w = 0; w < run->worker_count; w++)
            run->workers[w].from_readers[r] = run->readers[r].to_workers[w];
    }
    return STRID_OK;
}

strid_status run_create(const struct run_options *options, struct run **out, strid_error *err)
{
    struct run *run = memory_alloc_aligned(RUN_SPAN, sizeof *run);
    run->options = *options;
    run->definition = options->definition;
    run->clock = options->clock;
    run->log = options->log;
    run->source_ops = options->definition->source.ops;
    run->source = options->source;
    pthread_mutex_init(&run->error_lock, NULL);
    if (gethostname(run->node, sizeof run->node - 1) != 0)
        (void)snprintf(run->node, sizeof run->node, "unknown");
    run->deferrals = options->deferrals == NULL ? deferral_create() : options->deferrals;
    run_set_defaults(run);
    strid_status status = run_open(run, err);
    if (status == STRID_OK)
        status = make_agents(run, err);
    if (status != STRID_OK) {
        run_destroy(run);
        return status;
    }
    run->started_ns = clock_monotonic_ns(run->clock);
    *out = run;
    return STRID_OK;
}

void run_destroy(struct run *run)
{
    if (run == NULL)
        return;
    if (run->deferrals != NULL)
        deferral_detach_all(run->deferrals);
    for (uint32_t r = 0; run->readers != NULL && r < run->reader_count; r++)
        if (run->readers[r].run != NULL)
            reader_fini(&run->readers[r]);
    for (uint32_t w = 0; run->workers != NULL && w < run->worker_count; w++)
        worker_fini(&run->workers[w]);
    for (uint32_t d = 0; run->deliveries != NULL && d < run->delivery_count; d++)
        delivery_fini(&run->deliveries[d]);
    suspect_close(run);
    storage_destroy(run->storage);
    materialiser_destroy(run->materialiser);
    committer_destroy(run->committer);
    acknowledger_destroy(run->acknowledger);
    directory_close(run->directory);
    if (run->options.deferrals == NULL)
        deferral_destroy(run->deferrals);
    pthread_mutex_destroy(&run->error_lock);
    memory_free(run->readers);
    memory_free(run->workers);
    memory_free(run->deliveries);
    memory_free(run->partitions);
    memory_free(run->partition_of);
    memory_free(run);
}

uint32_t run_agents(struct run *run, struct agent **out, uint32_t capacity)
{
    uint32_t count = 0;
#define ADD(agent)                                                                                 \
    do {                                                                                           \
        if (count < capacity)                                                                      \
            out[count] = (agent);                                                                  \
        count++;                                                                                   \
    } while (0)
    for (uint32_t r = 0; r < run->reader_count; r++)
        ADD(&run->readers[r].agent);
    for (uint32_t w = 0; w < run->worker_count; w++)
        ADD(&run->workers[w].agent);
    for (uint32_t d = 0; d < run->delivery_count; d++)
        ADD(&run->deliveries[d].agent);
    ADD(storage_agent(run->storage));
    ADD(materialiser_agent(run->materialiser));
    ADD(committer_agent(run->committer));
#undef ADD
    return count;
}

strid_status run_start(struct run *run, strid_error *err)
{
    struct agent *agents[RUN_AGENTS_MAX];
    uint32_t count = run_agents(run, agents, RUN_AGENTS_MAX);
    STRID_ASSERT(count <= RUN_AGENTS_MAX);
    return agent_start_all(agents, count, err); /* they stand in the order of the way */
}

void run_join(struct run *run)
{
    struct agent *agents[RUN_AGENTS_MAX];
    agent_join_all(agents, run_agents(run, agents, RUN_AGENTS_MAX));
}

void run_wake(struct run *run)
{
    struct agent *agents[RUN_AGENTS_MAX];
    uint32_t count = run_agents(run, agents, RUN_AGENTS_MAX);
    for (uint32_t i = 0; i < count; i++)
        agent_wake(agents[i]);
}

void run_tell_control(const struct run *run)
{
    if (run->options.control != NULL)
        parker_wake(run->options.control);
}

void run_fail(struct run *run, const strid_error *error)
{
    pthread_mutex_lock(&run->error_lock);
    if (run->error.status == STRID_OK) {
        run->error = *error;
        atomic_store_explicit(&run->failed, true, memory_order_release);
    }
    pthread_mutex_unlock(&run->error_lock);
    run_tell_control(run);
}

struct partition *run_partition(const struct run *run, uint32_t number)
{
    uint32_t known = number < run->number_count ? run->partition_of[number] : 0;
    return known == 0 ? NULL : &run->partitions[known - 1];
}

bool run_failed(struct run *run)
{
    return atomic_load_explicit(&run->failed, memory_order_acquire);
}

void run_note_figures(struct run *run)
{
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    run_add_stats(run, &stats);
    if (stats.cache_hits + stats.cache_misses == 0)
        return;
    struct batch batch = {0};
    directory_put_cache(&batch, stats.cache_hits, stats.cache_misses);
    strid_error err = STRID_ERROR_INIT;
    if (batch_apply(&batch, run->directory->ops, run->directory->store, &err) != STRID_OK)
        log_warn(run->log, "state",
                 "the figures of the cache were not kept (%s); nothing else is lost", err.message);
    batch_fini(&batch);
}

void run_stop_partition(struct run *run, const struct partition *partition, const strid_error *gap)
{
    log_error(run->log, "reader", "%s partition %u has stopped, others go on: %s",
              partition->origin.topic, partition->origin.partition, gap->message);
    pthread_mutex_lock(&run->error_lock);
    if (run->gap.status == STRID_OK)
        run->gap = *gap;
    pthread_mutex_unlock(&run->error_lock);
}

static uint64_t relaxed(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_waiting(struct worker_retry *retry, strid_pipeline_stats *stats)
{
    /* They are not read at one moment. */
    uint64_t keys = relaxed(&retry->open_keys), records = relaxed(&retry->open_records);
    stats->waiting += keys;
    stats->parked += records > keys ? records - keys : 0;
    stats->parked_bytes += relaxed(&retry->open_bytes);
}

void run_add_stats(struct run *run, strid_pipeline_stats *stats)
{
    stats->outbox_entries = stats->outbox_bytes = 0;
    stats->waiting = stats->parked = stats->parked_bytes = 0; /* now, not ever */
    for (uint32_t w = 0; w < run->worker_count; w++) {
        struct worker_counters *counters = &run->workers[w].counters;
        stats->records += relaxed(&counters->records);
        stats->done += relaxed(&counters->done);
        stats->skipped += relaxed(&counters->skipped);
        stats->unrouted += relaxed(&counters->unrouted);
        stats->retried += relaxed(&counters->retried);
        stats->dead_lettered += relaxed(&counters->dead_lettered);
        stats->replayed += relaxed(&counters->replayed);
        stats->outputs += relaxed(&counters->outputs);
        stats->timed_out += relaxed(&counters->timed_out);
        stats->outbox_entries += relaxed(&run->workers[w].outbox.entries_shown);
        stats->outbox_bytes += relaxed(&run->workers[w].outbox.bytes_shown);
        stats->handed_over += relaxed(&counters->handed_over);
        add_waiting(&run->workers[w].retry, stats);
        uint64_t lookups = relaxed(&counters->lookups), misses = relaxed(&counters->misses);
        stats->cache_misses += misses;
        stats->cache_hits += lookups > misses ? lookups - misses : 0;
    }
    for (uint32_t r = 0; r < run->reader_count; r++)
        stats->backpressure += relaxed(&run->readers[r].backpressure);
    stats->bytes_read = stats->bytes_total = 0;
    for (uint32_t p = 0; p < run->partition_count; p++) {
        stats->bytes_read += relaxed(&run->partitions[p].bytes_read);
        if (run->partitions[p].bytes_total == UINT64_MAX || stats->bytes_total == UINT64_MAX)
            stats->bytes_total = UINT64_MAX;
        else
            stats->bytes_total += run->partitions[p].bytes_total;
    }
    stats->syncs += storage_syncs(run->storage);
    stats->blocks += storage_blocks(run->storage);
    stats->redo_bytes = (uint64_t)materialiser_redo_bytes(run->materialiser);
    stats->level0_files = materialiser_level0_files(run->materialiser);
    stats->elapsed_ms += (uint64_t)(clock_monotonic_ns(run->clock) - run->started_ns) / 1000000;
}
