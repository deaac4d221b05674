/* Entries of a stream read as a consumer of a group and acknowledged: the engine beside hiredis
 * alone (redis_read_ack), and a durable count per key beside the engine without state
 * (redis_count). Each run reads the whole stream and leaves nothing pending, which is checked; what
 * is written in Python reads a part of it, in the same turns. */
#include <inttypes.h>
#include <stdio.h>

#include "engine_run.h"
#include "python_side.h"
#include "raw/redis_loop.h"
#include "redis_host.h"
#include "report.h"
#include "scratch.h"
#include "workload.h"

enum {
    ENTRIES_PER_SECOND = 100000,
    ENTRIES_MIN = 2000,
    FIELD_BYTES = 80,
    OWN_SIDES = 3,    /* the engine and the raw loops */
    PYTHON_PART = 20, /* of the entries one is read by Python */
    PYTHON_BATCH = 10 /* what it reads is a multiple of it */
};

/* Readers of bench/python, and the lines they are reported in. */
static const struct {
    const char *name, *line, *baseline;
} python_sides[] = {
    {"redis-py", "redis_read_ack_vs_redis_py", "python_redis_py"},
    {"pspf", "redis_read_ack_vs_pspf", "python_pspf"},
};

enum { PYTHON_SIDES = sizeof python_sides / sizeof python_sides[0] };

struct entries {
    const struct workload *workload;
    const struct bench_settings *settings;
    struct redis_host host;
    uint64_t count;
    strid_store store;
    char source[MEASURE_PATH_MAX + 128];
    char state_directory[MEASURE_PATH_MAX];
    char state[MEASURE_PATH_MAX + 16];
};

static strid_outcome do_nothing(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx;
    (void)record;
    (void)user;
    return STRID_DONE;
}

static strid_outcome count_entry(strid_context *ctx, const strid_record *record, void *user)
{
    (void)record;
    const struct entries *entries = user;
    strid_state_put_i64(ctx, entries->store, strid_state_get_i64(ctx, entries->store, 0) + 1);
    return STRID_DONE;
}

static int run_engine(struct entries *entries, bool counts, struct bench_run *out)
{
    scratch_remove(entries->state_directory);
    const struct engine_run run = {.name = entries->workload->name,
                                   .source = entries->source,
                                   .state = entries->state,
                                   .directory = entries->state_directory,
                                   .format = "raw",
                                   .store = counts ? "entries" : NULL,
                                   .store_out = &entries->store,
                                   .handler = counts ? count_entry : do_nothing,
                                   .user = entries,
                                   .settings = entries->settings,
                                   .records_stop = entries->count};
    int64_t sum = 0;
    uint64_t keys = 0;
    strid_pipeline_stats stats;
    if (engine_run(&run, out, &stats) != 0)
        return -1;
    if (stats.done != entries->count)
        return measure_failed(run.name, "not every entry was handled once");
    if (!counts)
        return 0;
    if (engine_run_sum(entries->state, "entries", &sum, &keys) != 0)
        return -1;
    return (uint64_t)sum == entries->count ? 0 : measure_failed(run.name, "counts do not add up");
}

static int check(struct entries *entries, int result)
{
    return result != 0 ? result
                       : redis_host_check(&entries->host, entries->workload->name, entries->count);
}

static int run_python(const struct entries *entries, const char *reader, struct bench_run *out)
{
    uint64_t count = entries->count / (PYTHON_PART * PYTHON_BATCH) * PYTHON_BATCH;
    if (python_side_read(reader, &entries->host, count, out) != 0)
        return -1;
    return redis_host_check(&entries->host, reader, count);
}

static int run_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    struct entries *entries = user;
    (void)seconds;
    if (redis_host_rewind(&entries->host) != 0)
        return -1;
    if (side >= OWN_SIDES)
        return run_python(entries, python_sides[side - OWN_SIDES].name, out);
    if (side == 0)
        return check(entries, run_engine(entries, false, out));
    enum redis_loop_form form = side == 1 ? REDIS_LOOP_PIPELINED : REDIS_LOOP_WAITING;
    return check(entries, redis_loop_read(entries->host.socket, "bench", form, out));
}

static int run_count_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    struct entries *entries = user;
    (void)seconds;
    if (redis_host_rewind(&entries->host) != 0)
        return -1;
    return check(entries, run_engine(entries, side == 0, out));
}

static int start(struct entries *entries, const struct workload *workload,
                 const struct bench_settings *settings)
{
    const char *directory = settings->directory;
    *entries = (struct entries){.workload = workload, .settings = settings};
    entries->count = (uint64_t)(settings->seconds * ENTRIES_PER_SECOND) + ENTRIES_MIN;
    if (python_side_interpreter() != NULL)
        entries->host.port = redis_host_find_port();
    if (redis_host_start(&entries->host, directory) != 0)
        return -1;
    (void)snprintf(entries->source, sizeof entries->source,
                   "redis:///bench?group=g&field=v&key_field=k&socket=%s", entries->host.socket);
    (void)snprintf(entries->state_directory, sizeof entries->state_directory, "%s/redis.state",
                   directory);
    (void)snprintf(entries->state, sizeof entries->state, "rocksdb:%s", entries->state_directory);
    uint64_t keys = settings->keys != 0 ? settings->keys : workload->keys;
    if (redis_host_fill(&entries->host, entries->count, keys, FIELD_BYTES) == 0)
        return 0;
    redis_host_stop(&entries->host);
    return -1;
}

int redis_read_ack(const struct workload *workload, const struct bench_settings *settings)
{
    struct entries entries;
    struct measure_figures figures[MEASURE_SIDES_MAX];
    if (start(&entries, workload, settings) != 0)
        return -1;
    const uint32_t python_count = python_side_interpreter() == NULL ? 0 : PYTHON_SIDES;
    const struct measure_plan plan = {
        .user = &entries, .run = run_side, .side_count = OWN_SIDES + python_count};
    int result = measure(&plan, settings, figures);
    redis_host_stop(&entries.host);
    if (result != 0)
        return -1;
    struct report_line line = {.name = workload->name,
                               .baseline_name = "raw_hiredis_pipelined",
                               .unit = "records/s",
                               .engine = figures[0],
                               .baseline = figures[1]};
    report_line(settings, &line);
    line.name = "redis_read_ack_vs_waiting"; /* for each reply */
    line.baseline_name = "raw_hiredis_waiting";
    line.baseline = figures[2];
    report_line(settings, &line);
    for (uint32_t i = 0; i < python_count; i++) {
        line.name = python_sides[i].line;
        line.baseline_name = python_sides[i].baseline;
        line.baseline = figures[OWN_SIDES + i];
        report_line(settings, &line);
    }
    return 0;
}

int redis_count(const struct workload *workload, const struct bench_settings *settings)
{
    struct entries entries;
    struct measure_figures figures[MEASURE_SIDES_MAX];
    if (start(&entries, workload, settings) != 0)
        return -1;
    const struct measure_plan plan = {.user = &entries, .run = run_count_side, .side_count = 2};
    int result = measure(&plan, settings, figures);
    redis_host_stop(&entries.host);
    if (result != 0)
        return -1;
    const struct report_line line = {.name = workload->name,
                                     .baseline_name = "redis_read_ack",
                                     .unit = "records/s",
                                     .engine = figures[0],
                                     .baseline = figures[1]};
    report_line(settings, &line);
    return 0;
}
