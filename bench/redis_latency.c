/* From XADD to the handler, entries coming at a fixed rate whatever the reader does: the engine
 * beside hiredis alone that waits at the server. The figures are microseconds: less is better. */
#include <stdio.h>

#include "engine_run.h"
#include "raw/redis_wait.h"
#include "redis_host.h"
#include "redis_schedule.h"
#include "report.h"
#include "scratch.h"
#include "workload.h"

enum { PER_SECOND = 20000, FIELD_BYTES = 80, SIDES = 2, QUANTILES = 3, SLACK_SECONDS = 60 };

static const struct {
    const char *name;
    double part;
} quantiles[QUANTILES] = {
    {"redis_latency_p50", 0.5}, {"redis_latency_p99", 0.99}, {"redis_latency_p99_9", 0.999}};

struct latency {
    const struct workload *workload;
    const struct bench_settings *settings;
    struct redis_host host;
    struct redis_schedule schedule;
    uint64_t entries; /* with the one that says that the reader is ready */
    char source[MEASURE_PATH_MAX + 128];
    char state_directory[MEASURE_PATH_MAX];
    char state[MEASURE_PATH_MAX + 16];
    double us[SIDES][QUANTILES][MEASURE_RUNS_MAX];
    double cpu_s[SIDES][MEASURE_RUNS_MAX]; /* a million entries */
};

static strid_outcome note(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx;
    redis_schedule_note(user, record->value.data, record->value.len);
    return STRID_DONE;
}

static void note_raw(void *user, const void *value, size_t len)
{
    redis_schedule_note(user, value, len);
}

static int run_engine(struct latency *latency, struct bench_run *out)
{
    scratch_remove(latency->state_directory);
    const struct engine_run run = {.name = latency->workload->name,
                                   .source = latency->source,
                                   .state = latency->state,
                                   .directory = latency->state_directory,
                                   .format = "raw",
                                   .handler = note,
                                   .user = &latency->schedule,
                                   .settings = latency->settings,
                                   .seconds = latency->settings->seconds + SLACK_SECONDS,
                                   .records_stop = latency->entries};
    return engine_run(&run, out, NULL);
}

static int run_reader(struct latency *latency, uint32_t side, struct bench_run *out)
{
    if (side == 0)
        return run_engine(latency, out);
    return redis_wait_loop(latency->host.socket, "bench", latency->entries, note_raw,
                           &latency->schedule, out);
}

static int run_once(struct latency *latency, uint32_t side, uint32_t run)
{
    struct bench_run result = {0};
    struct redis_schedule *schedule = &latency->schedule;
    if (redis_host_delete(&latency->host, "bench") != 0 ||
        redis_schedule_init(schedule, latency->host.socket, "bench", latency->entries - 1,
                            PER_SECOND, FIELD_BYTES) != 0)
        return -1;
    int failed = redis_schedule_start(schedule);
    if (failed == 0) {
        failed = run_reader(latency, side, &result);
        failed |= redis_schedule_join(schedule);
    }
    for (int i = 0; failed == 0 && i < QUANTILES; i++)
        latency->us[side][i][run] = redis_schedule_quantile_us(schedule, quantiles[i].part);
    latency->cpu_s[side][run] = result.cpu_s / ((double)latency->entries / 1e6);
    redis_schedule_fini(schedule);
    return failed != 0
               ? -1
               : redis_host_check(&latency->host, latency->workload->name, latency->entries);
}

static void report(struct latency *latency)
{
    const struct bench_settings *settings = latency->settings;
    for (int i = 0; i < QUANTILES; i++) {
        struct report_line line = {
            .name = quantiles[i].name, .baseline_name = "raw_hiredis_block", .unit = "us"};
        struct measure_figures cpu;
        measure_values(latency->us[0][i], settings->runs, &line.engine);
        measure_values(latency->us[1][i], settings->runs, &line.baseline);
        measure_values(latency->cpu_s[0], settings->runs, &cpu);
        line.engine.cpu_s_per_million = cpu.median;
        measure_values(latency->cpu_s[1], settings->runs, &cpu);
        line.baseline.cpu_s_per_million = cpu.median;
        report_line(settings, &line);
    }
}

int redis_latency(const struct workload *workload, const struct bench_settings *settings)
{
    static struct latency latency; /* one at a time; it is large */
    const char *directory = settings->directory;
    latency = (struct latency){.workload = workload, .settings = settings};
    latency.entries = (uint64_t)(settings->seconds * PER_SECOND) + 1;
    if (redis_host_start(&latency.host, directory) != 0)
        return -1;
    (void)snprintf(latency.source, sizeof latency.source,
                   "redis:///bench?group=g&field=v&key_field=k&socket=%s", latency.host.socket);
    (void)snprintf(latency.state_directory, sizeof latency.state_directory, "%s/latency.state",
                   directory);
    (void)snprintf(latency.state, sizeof latency.state, "rocksdb:%s", latency.state_directory);
    int result = 0;
    for (uint32_t side = 0; side < SIDES && result == 0; side++) /* to warm up */
        result = run_once(&latency, side, 0);
    for (uint32_t run = 0; run < settings->runs && result == 0; run++)
        for (uint32_t side = 0; side < SIDES && result == 0; side++)
            result = run_once(&latency, side, run);
    redis_host_stop(&latency.host);
    if (result != 0)
        return -1;
    report(&latency);
    return 0;
}
