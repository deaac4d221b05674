/* strid_pipeline_run: runs in a row until one ends for good. A run that ends because the store
 * failed is taken down whole, caches, chunks and unwritten blocks with it; after a pause the next
 * one opens the store again, reads what is durable and goes on from there. @thread control (the
 * caller's) */
#include <inttypes.h>
#include <sys/random.h>

#include "api/pipeline.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/units.h"
#include "runtime/worker.h"

static const int64_t look_ns = 10000000, rest_ns = 100000000, restart_min_ns = 100000000,
                     restart_max_ns = 10000000000,
                     well_ns = 60000000000; /* of a run: the trouble before it is over */

enum { EXACT_MS = 5000 }; /* a shorter watchdog is looked at as often as a time-out */

static bool may_pass(strid_status status)
{
    return status == STRID_ESTORE || status == STRID_ENOSPC || status == STRID_EIO;
}

static uint32_t stops(const strid_pipeline *pipeline)
{
    return atomic_load_explicit(&pipeline->stop, memory_order_acquire);
}

static void tell_stop(struct run *run, uint32_t wanted)
{
    if (run_stop(run) >= wanted)
        return;
    atomic_store_explicit(&run->stop, wanted, memory_order_release);
    run_wake(run);
}

/* Partitions came or went. @thread control */
static bool source_changed(const strid_pipeline *pipeline)
{
    const strid_source_ops *ops = pipeline->definition->source.ops;
    return ops->changed != NULL && ops->changed(pipeline->source);
}

/* How long the control thread may sleep: the end of the run, a failure and a stop wake it; how long
 * a handler takes, whether a drain is late and what the source has are looked at. */
static int64_t rest_of(const struct definition *definition, bool drains)
{
    bool is_exact = drains || definition->timeout_ms > 0 ||
                    (definition->watchdog_ms > 0 && definition->watchdog_ms < EXACT_MS);
    for (uint32_t r = 0; r < definition->route_count; r++)
        is_exact = is_exact || definition->routes[r].timeout_ms > 0;
    return is_exact ? look_ns : rest_ns;
}

static strid_status tell_halt(struct run *run, bool late, strid_error *err)
{
    uint32_t open = 0;
    for (uint32_t w = 0; w < run->worker_count; w++)
        open += atomic_load_explicit(&run->workers[w].deferred.open_shown, memory_order_acquire);
    if (open == 0)
        return error_set(err, STRID_ECANCELLED, "pipeline",
                         "%s; what was not durable yet is read again by the next run",
                         late ? "not drained within drain_timeout" : "stopped at once");
    return error_set(
        err, STRID_ECANCELLED, "pipeline",
        "%s while the outcome of %" PRIu32 " record%s was deferred and never said: the "
        "next run handles what is open again, and what was not durable yet",
        late ? "not drained within drain_timeout" : "stopped at once", open, units_plural(open));
}

/* Watches one run until it has finished, failed or is to be stopped at once. */
static strid_status watch(strid_pipeline *pipeline, struct run *run, strid_error *err)
{
    struct parker *parker = &pipeline->control;
    const struct definition *definition = pipeline->definition;
    struct watchdog *watchdog = watchdog_create(run);
    strid_status status = STRID_OK;
    int64_t drain_since_ns = 0;
    int64_t drain_timeout_ns = definition->drain_timeout_ms * 1000000;
    for (;;) {
        uint32_t ticket = parker_prepare(parker);
        if (atomic_load_explicit(&run->finished, memory_order_acquire) || run_failed(run))
            break;
        int64_t now = clock_monotonic_ns(run->clock);
        if (stops(pipeline) >= 1 && drain_since_ns == 0)
            drain_since_ns = now;
        bool late =
            drain_since_ns != 0 && drain_timeout_ns > 0 && now - drain_since_ns >= drain_timeout_ns;
        if (stops(pipeline) >= 2 || late) {
            tell_stop(run, RUN_HALT);
            status = tell_halt(run, late, err);
            break;
        }
        if (stops(pipeline) == 1 || source_changed(pipeline))
            tell_stop(run, RUN_DRAIN);
        watchdog_look(watchdog);
        parker_wait(parker, ticket, rest_of(definition, run_stop(run) != RUN_CONTINUE));
    }
    parker_done(parker);
    watchdog_destroy(watchdog);
    return status;
}

/* Nothing is wrong with them, but whoever reads the queue now does not see them yet. A store in
 * memory goes with the pipeline, and only some sources give its records once more. */
static void tell_left(struct run *run)
{
    strid_pipeline_stats stats = {0};
    run_add_stats(run, &stats);
    const uint64_t count = stats.outbox_entries;
    if (count > 0 && run->directory->ops == &store_memory)
        log_warn(run->log, "outbox",
                 "%" PRIu64 " dead letter%s not sent, and in memory alone: lost with the process, "
                 "unless it runs the pipeline once more or the source gives the record%s again; a "
                 "state directory (rocksdb:DIR) would keep such letters",
                 count, units_plural(count), units_plural(count));
    else if (count > 0)
        log_warn(run->log, "outbox",
                 "%" PRIu64 " dead letter%s left in %s for the next run to send", count,
                 units_plural(count), run->directory->url);
}

/* `lasted_ns` receives how long it ran, 0 where it could not begin. */
static strid_status run_once(strid_pipeline *pipeline, const struct run_options *options,
                             int64_t *lasted_ns, strid_error *err)
{
    *lasted_ns = 0;
    struct run *run = NULL;
    strid_status status = run_create(options, &run, err);
    if (status != STRID_OK)
        return status;
    status = run_start(run, err);
    if (status == STRID_OK) {
        pthread_mutex_lock(&pipeline->lock);
        pipeline->run = run;
        pthread_mutex_unlock(&pipeline->lock);
        const int64_t began_ns = clock_monotonic_ns(run->clock);
        status = watch(pipeline, run, err);
        *lasted_ns = clock_monotonic_ns(run->clock) - began_ns;
        run_join(run);
        tell_left(run);
    }
    if (status == STRID_OK && run_failed(run)) {
        status = run->error.status;
        *err = run->error;
    } else if (status == STRID_OK) {
        run_note_figures(run);
        status = run->gap.status;
        if (status != STRID_OK)
            *err = run->gap;
    }
    pthread_mutex_lock(&pipeline->lock);
    pipeline->run = NULL;
    run_add_stats(run, &pipeline->totals);
    pthread_mutex_unlock(&pipeline->lock);
    run_destroy(run);
    return status;
}

/* false: the wait was cut short by a stop. */
static bool pause_before_restart(const strid_pipeline *pipeline, int64_t pause_ns)
{
    struct parker parker = {0};
    int64_t until = clock_monotonic_ns(&clock_system) + pause_ns;
    while (stops(pipeline) == 0) {
        int64_t left = until - clock_monotonic_ns(&clock_system);
        if (left <= 0)
            return true;
        parker_wait(&parker, parker_prepare(&parker), left < look_ns ? left : look_ns);
    }
    return false;
}

/* The source's partitions are others now, or records of them are gone. Its server may be away just
 * then: tried until it is back or somebody stops. */
static strid_status open_source_again(strid_pipeline *pipeline, strid_error *err)
{
    log_info(&pipeline->log, "pipeline", "%s has changed: opened again",
             pipeline->definition->source.url);
    for (int64_t pause_ns = restart_min_ns;; pause_ns *= 2) {
        pthread_mutex_lock(&pipeline->lock);
        pipeline_close_source(pipeline);
        strid_status status = pipeline_open_source(pipeline, err);
        pthread_mutex_unlock(&pipeline->lock);
        if (status != STRID_EUNREACHABLE && status != STRID_EIO)
            return status;
        log_error(&pipeline->log, "pipeline", "%s; tried again", err->message);
        pause_ns = pause_ns > restart_max_ns ? restart_max_ns : pause_ns;
        if (!pause_before_restart(pipeline, pause_ns))
            return status;
    }
}

static strid_status run_until_end(strid_pipeline *pipeline, strid_error *err)
{
    strid_error local = STRID_ERROR_INIT;
    struct run_options options = {.definition = pipeline->definition,
                                  .clock = &clock_system,
                                  .log = &pipeline->log,
                                  .source = pipeline->source,
                                  .sinks = pipeline->sinks,
                                  .deferrals = pipeline->deferrals,
                                  .kept = &pipeline->kept,
                                  .control = &pipeline->control};
    if (getrandom(&options.new_seed, sizeof options.new_seed, 0) < 0 ||
        getrandom(options.new_id, sizeof options.new_id, 0) < 0)
        return error_set(err, STRID_EIO, "pipeline", "the system gives no random bytes");
    int64_t pause_ns = restart_min_ns, lasted_ns;
    bool ran = false;
    for (;;) {
        strid_status status = run_once(pipeline, &options, &lasted_ns, &local);
        if (lasted_ns >= well_ns)
            pause_ns = restart_min_ns;
        /* What cannot be opened at the first try is a matter for whoever started it. */
        ran = ran || local.status == STRID_ESTORE;
        if ((status == STRID_OK || status == STRID_EGAP) && source_changed(pipeline) &&
            stops(pipeline) == 0) {
            status = open_source_again(pipeline, &local);
            options.source = pipeline->source;
            if (status == STRID_OK)
                continue;
        }
        if (status == STRID_OK || !ran || !may_pass(status)) {
            if (err != NULL && status != STRID_OK)
                *err = local;
            return status;
        }
        log_error(&pipeline->log, "pipeline",
                  "%s; the state store is opened again in %" PRId64 " ms, nothing is lost",
                  local.message, pause_ns / 1000000);
        if (!pause_before_restart(pipeline, pause_ns)) {
            if (err != NULL)
                *err = local;
            return status;
        }
        pthread_mutex_lock(&pipeline->lock);
        pipeline->totals.restarts++;
        pthread_mutex_unlock(&pipeline->lock);
        pause_ns = 2 * pause_ns > restart_max_ns ? restart_max_ns : 2 * pause_ns;
    }
}

/* A host may get it wrong: by another thread, or from a handler. */
static strid_status begin(strid_pipeline *pipeline, strid_error *err)
{
    pthread_mutex_lock(&pipeline->lock);
    const bool runs = pipeline->runs;
    pipeline->runs = true;
    pthread_mutex_unlock(&pipeline->lock);
    if (runs)
        return error_set(err, STRID_EINVAL, "pipeline",
                         "\"%s\" runs already; strid_pipeline_stop() ends that run, and the next "
                         "can begin when strid_pipeline_run() has returned",
                         pipeline->definition->name);
    return STRID_OK;
}

strid_status strid_pipeline_run(strid_pipeline *pipeline, strid_error *err)
{
    STRID_TRY(definition_check(pipeline->definition, err));
    if (pipeline->definition->route_count == 0)
        return error_set(
            err, STRID_ECONFIG, "pipeline",
            "pipeline \"%s\" has no handler: register one with strid_pipeline_on(), or "
            "give its file \"handlers\"",
            pipeline->definition->name);
    STRID_TRY(begin(pipeline, err));
    pthread_mutex_lock(&pipeline->lock);
    STRID_ASSERT(pipeline->run == NULL);
    pipeline->totals = (strid_pipeline_stats){.struct_size = sizeof pipeline->totals};
    strid_status status = pipeline_open_source(pipeline, err);
    if (status == STRID_OK)
        status = pipeline_open_sinks(pipeline, err);
    pthread_mutex_unlock(&pipeline->lock);
    if (status == STRID_OK)
        status = run_until_end(pipeline, err);
    pthread_mutex_lock(&pipeline->lock);
    pipeline_close(pipeline, false);
    atomic_store_explicit(&pipeline->stop, 0, memory_order_release);
    pipeline->runs = false;
    pthread_mutex_unlock(&pipeline->lock);
    return status;
}
