/* Handlers that wait, for an answer of a service say: 0 to 10 ms for each record, 1,000 keys, in
 * the order of each key. The engine defers the outcomes, so that one worker has many records open;
 * beside it the same handler that waits itself, on 64 workers; and Confluent's Parallel Consumer,
 * where it was built. Where there is nothing to wait for, deferring costs, which is shown instead.
 */
#include <stdio.h>
#include <time.h>

#include "engine_run.h"
#include "kafka_host.h"
#include "later.h"
#include "report.h"
#include "rival.h"
#include "workload.h"

enum { VALUE_BYTES = 100, WORKERS_WAITING = 64, PARKED = 20000, RECORDS_MIN = 5000 };

struct sweep {
    const struct workload *workload;
    const struct bench_settings *settings;
    struct kafka_host host;
    uint64_t count;
    bool defers; /* the run at hand */
    struct later *later;
    char source[MEASURE_PATH_MAX];
};

static strid_outcome do_nothing(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx;
    (void)record;
    (void)user;
    return STRID_DONE;
}

static strid_outcome ask(strid_context *ctx, const strid_record *record, void *user)
{
    (void)record;
    const struct sweep *sweep = user;
    later_complete(sweep->later, strid_defer(ctx));
    return STRID_DEFERRED;
}

static strid_outcome wait(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx;
    (void)record;
    const struct sweep *sweep = user;
    const struct timespec time = {.tv_sec = sweep->workload->wait_us / 1000000,
                                  .tv_nsec = sweep->workload->wait_us % 1000000 * 1000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
    return STRID_DONE;
}

static int open_later(void *user, strid_pipeline *pipeline)
{
    struct sweep *sweep = user;
    if (!sweep->defers)
        return 0;
    sweep->later = later_create(pipeline, sweep->workload->wait_us);
    return sweep->later == NULL ? -1 : 0;
}

static void close_later(void *user)
{
    struct sweep *sweep = user;
    if (sweep->defers && later_destroy(sweep->later) != 0)
        (void)measure_failed(sweep->workload->name, "outcomes came too late");
}

/* The best that a user can do, and what it is to be compared with. */
static int run_engine(struct sweep *sweep, bool best, struct bench_run *out)
{
    const bool waits = sweep->workload->wait_us > 0;
    sweep->defers = best == waits;
    strid_handler handler = sweep->defers ? ask : waits ? wait : do_nothing;
    const struct engine_run run = {.name = sweep->workload->name,
                                   .source = sweep->source,
                                   .format = "raw",
                                   .handler = handler,
                                   .user = sweep,
                                   .settings = sweep->settings,
                                   .opened = open_later,
                                   .closing = close_later,
                                   .workers = waits && !best ? WORKERS_WAITING : 0,
                                   .parked = PARKED};
    strid_pipeline_stats stats;
    if (engine_run(&run, out, &stats) != 0)
        return -1;
    out->records = stats.done;
    return stats.done == sweep->count
               ? 0
               : measure_failed(run.name, "not every record was handled once");
}

static int run_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    struct sweep *sweep = user;
    if (side < 2)
        return run_engine(sweep, side == 0, out);
    const struct rival rival = {.name = "parallel",
                                .class = "Parallel",
                                .host = &sweep->host,
                                .records = sweep->count,
                                .wait_us = sweep->workload->wait_us};
    return rival_run(&rival, sweep->settings, seconds, out);
}

/* So that 64 workers that wait are done after a few times the seconds that were asked for. */
static uint64_t count_of(const struct sweep *sweep)
{
    int64_t wait_us = sweep->workload->wait_us;
    double rate = wait_us == 0 ? 1e6 : wait_us <= 100 ? 2e5 : wait_us <= 1000 ? 1e5 : 2e4;
    return (uint64_t)(sweep->settings->seconds * rate) + RECORDS_MIN;
}

static void report(const struct sweep *sweep, const struct measure_figures *figures,
                   const char *baseline, uint32_t side)
{
    char name[REPORT_NAME_MAX];
    report_name(sweep->workload->name, side == 1 ? NULL : baseline, name);
    const struct report_line line = {.name = name,
                                     .baseline_name = baseline,
                                     .unit = "records/s",
                                     .engine = figures[0],
                                     .baseline = figures[side]};
    report_line(sweep->settings, &line);
}

int kafka_sweep(const struct workload *workload, const struct bench_settings *settings)
{
    struct sweep sweep = {.workload = workload, .settings = settings};
    struct measure_figures figures[MEASURE_SIDES_MAX];
    if (!kafka_host_is_there(workload->name))
        return 0;
    sweep.count = count_of(&sweep);
    uint64_t keys = settings->keys != 0 ? settings->keys : workload->keys;
    if (kafka_host_start(&sweep.host, sweep.count, keys, VALUE_BYTES) != 0)
        return -1;
    (void)snprintf(sweep.source, sizeof sweep.source, "kafka://%s/%s?follow=false&start=earliest",
                   sweep.host.brokers, sweep.host.topic);
    const struct measure_plan plan = {
        .user = &sweep, .run = run_side, .side_count = settings->rivals != NULL ? 3 : 2};
    int result = measure(&plan, settings, figures);
    kafka_host_stop(&sweep.host);
    if (result != 0)
        return -1;
    report(&sweep, figures,
           workload->wait_us == 0 ? "kafka_sweep_deferred" : "kafka_sweep_64_workers", 1);
    if (settings->rivals != NULL)
        report(&sweep, figures, "parallel_consumer", 2);
    return 0;
}
