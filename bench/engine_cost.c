/* Whether a record costs more when many came before it: processor time per record of bounded
 * inputs, from 100,000 records on, each ten times the last. What starting, opening and closing take
 * is measured by inputs of one record, and taken off. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine_run.h"
#include "report.h"
#include "scratch.h"
#include "workload.h"

enum { STEPS_MAX = 5, REPEATS_MAX = 41 };

#define RECORDS_LEAST UINT64_C(100000)
#define RECORDS_PER_SECOND UINT64_C(10000000) /* of --seconds: 10 s make 10^8 the largest input */

struct cost {
    const struct workload *workload;
    const struct bench_settings *settings;
    uint64_t keys;
    strid_store store;
    char state[MEASURE_PATH_MAX + 16];
    char state_directory[MEASURE_PATH_MAX];
};

static strid_outcome count_record(strid_context *ctx, const strid_record *record, void *user)
{
    (void)record;
    const struct cost *cost = user;
    strid_state_put_i64(ctx, cost->store, strid_state_get_i64(ctx, cost->store, 0) + 1);
    return STRID_DONE;
}

/* Seconds of processor time for so many records, opening and closing included. Each begins
 * with an empty directory, as a state is of one source. */
static int run_once(struct cost *cost, uint64_t records, double *out)
{
    char source[160];
    (void)snprintf(source, sizeof source,
                   "generator:?seed=1&records=%" PRIu64 "&keys=%" PRIu64 "&size=%" PRIu32, records,
                   cost->keys, cost->settings->value_bytes);
    const struct engine_run run = {.name = cost->workload->name,
                                   .source = source,
                                   .format = "raw",
                                   .state = cost->state,
                                   .directory = cost->state_directory,
                                   .store = "counts",
                                   .store_out = &cost->store,
                                   .handler = count_record,
                                   .user = cost,
                                   .settings = cost->settings};
    struct bench_run result;
    scratch_remove(cost->state_directory);
    double cpu_s = measure_cpu_s();
    if (engine_run(&run, &result, NULL) != 0)
        return -1;
    *out = measure_cpu_s() - cpu_s;
    int64_t sum = 0;
    uint64_t keys = 0;
    if (engine_run_sum(cost->state, "counts", &sum, &keys) != 0)
        return -1;
    if (sum != (int64_t)records)
        return measure_failed(cost->workload->name, "the counters do not add up");
    return 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Small inputs are repeated more often, since the start weighs more in them. */
static uint32_t repeats(const struct cost *cost, uint64_t records)
{
    uint32_t times = records <= RECORDS_LEAST ? 8 : records <= 10 * RECORDS_LEAST ? 4 : 1;
    uint32_t count = cost->settings->runs * times;
    return count < REPEATS_MAX ? count : REPEATS_MAX;
}

static int measure_step(struct cost *cost, uint64_t records, double start_s,
                        struct measure_figures *out)
{
    double ns[REPEATS_MAX];
    uint32_t count = repeats(cost, records);
    for (uint32_t i = 0; i < count; i++) {
        if (run_once(cost, records, &ns[i]) != 0)
            return -1;
        ns[i] = (ns[i] - start_s) / (double)records * 1e9;
    }
    qsort(ns, count, sizeof ns[0], compare_doubles);
    *out = (struct measure_figures){.median = ns[count / 2],
                                    .min = ns[0],
                                    .max = ns[count - 1],
                                    .cpu_s_per_million = ns[count / 2] / 1e3,
                                    .runs = count};
    return 0;
}

static int measure_steps(struct cost *cost, uint64_t most)
{
    struct measure_figures figures[STEPS_MAX], start;
    uint64_t records[STEPS_MAX];
    uint32_t count = 0;
    if (measure_step(cost, 1, 0, &start) != 0)
        return -1;
    for (uint64_t n = RECORDS_LEAST; n <= most && count < STEPS_MAX; n *= 10, count++) {
        records[count] = n;
        if (measure_step(cost, n, start.median / 1e9, &figures[count]) != 0)
            return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s_of_%" PRIu64, cost->workload->name, records[i]);
        const struct report_line line = {.name = name,
                                         .baseline_name = "the largest input",
                                         .unit = "cpu ns/record",
                                         .engine = figures[i],
                                         .baseline = figures[count - 1]};
        report_line(cost->settings, &line);
    }
    return 0;
}

int engine_cost(const struct workload *workload, const struct bench_settings *settings)
{
    struct cost cost = {.workload = workload,
                        .settings = settings,
                        .keys = settings->keys != 0 ? settings->keys : workload->keys};
    (void)snprintf(cost.state_directory, sizeof cost.state_directory, "%s/cost.state",
                   settings->directory);
    (void)snprintf(cost.state, sizeof cost.state, "rocksdb:%s", cost.state_directory);
    double seconds = settings->hold_seconds != 0 ? settings->hold_seconds : settings->seconds;
    uint64_t most = (uint64_t)(seconds * (double)RECORDS_PER_SECOND);
    return measure_steps(&cost, most < RECORDS_LEAST ? RECORDS_LEAST : most);
}
