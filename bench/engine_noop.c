/* The engine without state: generator, reader, ring, worker, a handler that does nothing; against
 * the bare loop that copies the same bytes into chunks and hands them to another thread. */
#include <stdio.h>

#include "engine_run.h"
#include "raw/ring_loop.h"
#include "report.h"
#include "workload.h"

enum { KEY_BYTES = 16 };

struct noop {
    const struct workload *workload;
    const struct bench_settings *settings;
    char source[128];
};

static strid_outcome do_nothing(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx;
    (void)record;
    (void)user;
    return STRID_DONE;
}

static int run_engine(const struct noop *noop, double seconds, bool hold, struct bench_run *out)
{
    const struct engine_run run = {.name = noop->workload->name,
                                   .source = noop->source,
                                   .format = "raw",
                                   .handler = do_nothing,
                                   .settings = noop->settings,
                                   .seconds = seconds,
                                   .hold = hold};
    strid_pipeline_stats stats;
    if (engine_run(&run, out, &stats) != 0)
        return -1;
    if (stats.done != stats.records)
        return measure_failed(run.name, "records were read that no handler was done with");
    return 0;
}

static int run_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    if (side == 0)
        return run_engine(user, seconds, false, out);
    enum ring_place place = side == 1 ? RING_ONE_CORE : RING_TWO_CORES;
    const struct noop *noop = user;
    return ring_loop(KEY_BYTES + noop->settings->value_bytes, place, seconds, out);
}

int engine_noop(const struct workload *workload, const struct bench_settings *settings)
{
    struct noop noop = {.workload = workload, .settings = settings};
    uint64_t keys = settings->keys != 0 ? settings->keys : workload->keys;
    (void)snprintf(noop.source, sizeof noop.source, "generator:?seed=1&records=0&keys=%llu&size=%u",
                   (unsigned long long)keys, settings->value_bytes);
    if (settings->hold_seconds != 0) {
        struct bench_run run;
        return run_engine(&noop, settings->hold_seconds, true, &run);
    }
    const struct measure_plan plan = {.user = &noop, .run = run_side, .side_count = 3};
    struct measure_figures figures[MEASURE_SIDES_MAX];
    if (measure(&plan, settings, figures) != 0)
        return -1;
    struct report_line line = {.name = workload->name,
                               .baseline_name = "raw_ring",
                               .unit = "records/s",
                               .engine = figures[0],
                               .baseline = figures[1]};
    report_line(settings, &line);
    line.name = "engine_noop_vs_two_cores"; /* for information */
    line.baseline_name = "raw_ring_two_cores";
    line.baseline = figures[2];
    report_line(settings, &line);
    return 0;
}
