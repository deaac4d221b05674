/* What retries cost: the count of engine_count_100k, of which one record in a hundred fails at its
 * first attempt, against the same without. Both start each run from the same compacted state. */
#include <inttypes.h>
#include <stdio.h>

#include "engine_run.h"
#include "raw/database.h"
#include "report.h"
#include "share.h"
#include "snapshot.h"
#include "workload.h"

enum {
    FAILS_ONE_IN = 100,
    BACKOFF_MS = 1,
    PREPARE_PER_KEY = 3, /* records a key that make the state */
    SIDE_RETRY = 0,
    SIDE_PLAIN,
    SIDES
};

struct retry {
    const struct workload *workload;
    const struct bench_settings *settings;
    strid_store store;
    uint64_t fails_at; /* which of FAILS_ONE_IN records fails; FAILS_ONE_IN: none does. Both sides
                          ask, so that asking is not taken for the cost of retries */
    char source[160];
    char state[MEASURE_PATH_MAX + 16];
    char directory[MEASURE_PATH_MAX];
    char kept[MEASURE_PATH_MAX];
    int64_t prepared; /* records that made the state */
};

static strid_outcome count_record(strid_context *ctx, const strid_record *record, void *user)
{
    const struct retry *retry = user;
    if (record->position.low % FAILS_ONE_IN == retry->fails_at && strid_attempt(ctx) == 0)
        return STRID_RETRY;
    strid_state_put_i64(ctx, retry->store, strid_state_get_i64(ctx, retry->store, 0) + 1);
    return STRID_DONE;
}

/* What was read is counted, or waits; and as many failed as had to. */
static int check(const struct retry *retry, const strid_pipeline_stats *stats)
{
    int64_t sum = 0;
    uint64_t keys = 0;
    if (engine_run_sum(retry->state, "counts", &sum, &keys) != 0)
        return -1;
    int64_t waiting = (int64_t)(stats->waiting + stats->parked);
    int64_t handled = retry->prepared + (int64_t)stats->records - waiting;
    uint64_t failed = retry->fails_at < FAILS_ONE_IN ? stats->records / FAILS_ONE_IN : 0;
    if (sum != handled)
        fprintf(stderr,
                "strid-bench: %s: the counters add up to %" PRId64 ", %" PRId64
                " records were handled\n",
                retry->workload->name, sum, handled);
    else if (stats->retried + stats->waiting + stats->parked < failed ||
             stats->retried > failed + FAILS_ONE_IN)
        fprintf(stderr,
                "strid-bench: %s: %" PRIu64 " records were retried instead of %" PRIu64 "\n",
                retry->workload->name, stats->retried, failed);
    else
        return 0;
    return -1;
}

static int run_engine(struct retry *retry, double seconds, uint64_t records_stop, bool hold,
                      struct bench_run *out)
{
    const struct engine_run run = {.name = retry->workload->name,
                                   .source = retry->source,
                                   .format = "raw",
                                   .state = retry->state,
                                   .directory = retry->directory,
                                   .store = "counts",
                                   .store_out = &retry->store,
                                   .handler = count_record,
                                   .user = retry,
                                   .settings = retry->settings,
                                   .retry_ms = BACKOFF_MS,
                                   .seconds = seconds,
                                   .records_stop = records_stop,
                                   .hold = hold};
    strid_pipeline_stats stats;
    return engine_run(&run, out, &stats) == 0 ? check(retry, &stats) : -1;
}

static int run_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    struct retry *retry = user;
    retry->fails_at = side == SIDE_RETRY ? 0 : FAILS_ONE_IN;
    return snapshot_restore(retry->kept, retry->directory) != 0
               ? -1
               : run_engine(retry, seconds, 0, false, out);
}

static int prepare(struct retry *retry, uint64_t keys)
{
    const struct bench_settings *settings = retry->settings;
    (void)snprintf(retry->source, sizeof retry->source,
                   "generator:?seed=1&records=0&keys=%" PRIu64 "&size=%" PRIu32, keys,
                   settings->value_bytes);
    (void)snprintf(retry->directory, sizeof retry->directory, "%s/retry.state",
                   settings->directory);
    (void)snprintf(retry->state, sizeof retry->state, "rocksdb:%s", retry->directory);
    (void)snprintf(retry->kept, sizeof retry->kept, "%s/retry.state.kept", settings->directory);
    struct database_memory memory;
    struct bench_run run = {0};
    share_divide(settings, &memory);
    if (run_engine(retry, 0, keys * PREPARE_PER_KEY, false, &run) != 0 ||
        database_compact(retry->directory, &memory) != 0)
        return -1;
    retry->prepared = (int64_t)run.records;
    return snapshot_take(retry->directory, retry->kept);
}

int engine_retry(const struct workload *workload, const struct bench_settings *settings)
{
    struct retry retry = {.workload = workload, .settings = settings, .fails_at = FAILS_ONE_IN};
    if (prepare(&retry, settings->keys != 0 ? settings->keys : workload->keys) != 0)
        return -1;
    if (settings->hold_seconds != 0) {
        struct bench_run run;
        retry.fails_at = 0;
        return run_engine(&retry, settings->hold_seconds, 0, true, &run);
    }
    const struct measure_plan plan = {.user = &retry, .run = run_side, .side_count = SIDES};
    struct measure_figures figures[MEASURE_SIDES_MAX];
    if (measure(&plan, settings, figures) != 0)
        return -1;
    const struct report_line line = {.name = workload->name,
                                     .baseline_name = "engine_count_without_retries",
                                     .unit = "records/s",
                                     .engine = figures[SIDE_RETRY],
                                     .baseline = figures[SIDE_PLAIN]};
    report_line(settings, &line);
    return 0;
}
