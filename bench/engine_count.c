/* A durable count per key: the engine against plain RocksDB loops. Both start each run from a
 * compacted database that holds the same keys with the same counts: the engine's state is made by
 * the engine, the raw database is bulk-loaded from it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_run.h"
#include "raw/database.h"
#include "raw/rocksdb_loop.h"
#include "report.h"
#include "share.h"
#include "workload.h"

enum {
    VALUE_BYTES = 100,
    PREPARE_PER_KEY = 3, /* records a key that make the state; uniform: 95 % of the keys exist */
};

struct count {
    const struct workload *workload;
    const struct bench_settings *settings;
    strid_store store;
    char source[160];
    char state[MEASURE_PATH_MAX + 16];
    char state_directory[MEASURE_PATH_MAX];
    char raw_directory[MEASURE_PATH_MAX];
    struct database_memory memory; /* of the raw database */
    int64_t handled;               /* by the engine, all runs together */
    int64_t raw_handled;
    double sync_every_s; /* as the engine's last run synced */
    struct keys keys;
};

static strid_outcome count_record(strid_context *ctx, const strid_record *record, void *user)
{
    (void)record;
    const struct count *count = user;
    strid_state_put_i64(ctx, count->store, strid_state_get_i64(ctx, count->store, 0) + 1);
    return STRID_DONE;
}

/* Close, reopen, add up. */
static int check_engine(struct count *count)
{
    int64_t sum = 0;
    uint64_t keys = 0;
    if (engine_run_sum(count->state, "counts", &sum, &keys) != 0)
        return -1;
    if (sum == count->handled)
        return 0;
    fprintf(stderr,
            "strid-bench: %s: the counters add up to %" PRId64 ", %" PRId64
            " records were handled\n",
            count->workload->name, sum, count->handled);
    return -1;
}

static int run_engine(struct count *count, double seconds, uint64_t records_stop, bool hold,
                      struct bench_run *out)
{
    const struct engine_run run = {.name = count->workload->name,
                                   .source = count->source,
                                   .format = "raw",
                                   .state = count->state,
                                   .directory = count->state_directory,
                                   .store = "counts",
                                   .store_out = &count->store,
                                   .handler = count_record,
                                   .user = count,
                                   .settings = count->settings,
                                   .seconds = seconds,
                                   .records_stop = records_stop,
                                   .hold = hold};
    if (engine_run(&run, out, NULL) != 0)
        return -1;
    count->handled += (int64_t)out->records;
    if (out->syncs > 0)
        count->sync_every_s = out->wall_s / (double)out->syncs;
    return check_engine(count);
}

struct copy {
    struct database_entry *entries;
    uint64_t count;
    uint64_t capacity;
};

static bool copy_entry(void *user, const strid_state_entry *entry)
{
    struct copy *copy = user;
    if (entry->key.len != KEYS_BYTES || entry->kind != STRID_STATE_I64)
        return false;
    if (copy->count == copy->capacity) {
        copy->capacity = copy->capacity == 0 ? 4096 : copy->capacity * 2;
        void *more = realloc(copy->entries, copy->capacity * sizeof *copy->entries);
        if (more == NULL)
            return false;
        copy->entries = more;
    }
    struct database_entry *to = &copy->entries[copy->count++];
    memcpy(to->key, entry->key.data, sizeof to->key);
    memcpy(&to->value, entry->value.data, sizeof to->value);
    return true;
}

/* The raw database gets what the engine's state holds. */
static int make_raw(struct count *count)
{
    strid_error error = STRID_ERROR_INIT;
    strid_state_reader *reader = strid_state_reader_open(count->state, &error);
    if (reader == NULL)
        return measure_failed(count->state, error.message);
    struct copy copy = {0};
    strid_status status = strid_state_reader_scan(reader, "counts", copy_entry, &copy, &error);
    strid_state_reader_close(reader);
    int64_t sum = 0;
    for (uint64_t i = 0; i < copy.count; i++)
        sum += copy.entries[i].value;
    int result = -1;
    if (status != STRID_OK)
        (void)measure_failed(count->state, error.message);
    else if (sum != count->handled)
        (void)measure_failed(count->state, "could not be copied whole");
    else
        result = database_make(count->raw_directory, copy.entries, copy.count, &count->memory);
    count->raw_handled = sum;
    free(copy.entries);
    return result;
}

enum { SIDE_ENGINE = 0, SIDE_BATCHED, SIDE_CLASSIC, SIDES };

static int run_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    struct count *count = user;
    const char *directory = side == SIDE_ENGINE ? count->state_directory : count->raw_directory;
    if (database_compact(directory, &count->memory) != 0)
        return -1;
    if (side == SIDE_ENGINE)
        return run_engine(count, seconds, 0, false, out);
    const struct rocksdb_loop loop = {.path = directory,
                                      .memory = &count->memory,
                                      .sync_every_s = count->sync_every_s,
                                      .keys = &count->keys};
    int result = side == SIDE_BATCHED ? rocksdb_loop_batched(&loop, seconds, out)
                                      : rocksdb_loop_classic(&loop, seconds, out);
    count->raw_handled += (int64_t)out->records;
    return result;
}

static void init(struct count *count, uint64_t keys)
{
    const struct bench_settings *settings = count->settings;
    (void)snprintf(count->source, sizeof count->source,
                   "generator:?seed=1&records=0&keys=%" PRIu64 "&size=%d&dist=%s", keys,
                   VALUE_BYTES, count->workload->zipf ? "zipf:1.0" : "uniform");
    (void)snprintf(count->state_directory, sizeof count->state_directory, "%s/%s.state",
                   settings->directory, count->workload->name);
    (void)snprintf(count->state, sizeof count->state, "rocksdb:%s", count->state_directory);
    (void)snprintf(count->raw_directory, sizeof count->raw_directory, "%s/%s.raw",
                   settings->directory, count->workload->name);
    share_divide(settings, &count->memory);
    count->sync_every_s = 0.1;
    keys_init(&count->keys, 2, keys, count->workload->zipf);
}

static int check_raw(const struct count *count)
{
    int64_t sum = 0;
    if (database_sum(count->raw_directory, &count->memory, &sum) != 0)
        return -1;
    return sum == count->raw_handled
               ? 0
               : measure_failed(count->workload->name, "the raw counters do not add up");
}

int engine_count(const struct workload *workload, const struct bench_settings *settings)
{
    struct count count = {.workload = workload, .settings = settings};
    uint64_t keys = settings->keys != 0 ? settings->keys : workload->keys;
    init(&count, keys);
    struct bench_run run;
    if (run_engine(&count, 0, keys * PREPARE_PER_KEY, false, &run) != 0)
        return -1;
    if (settings->hold_seconds != 0)
        return run_engine(&count, settings->hold_seconds, 0, true, &run);
    if (make_raw(&count) != 0)
        return -1;
    const struct measure_plan plan = {.user = &count, .run = run_side, .side_count = SIDES};
    struct measure_figures figures[MEASURE_SIDES_MAX];
    if (measure(&plan, settings, figures) != 0 || check_raw(&count) != 0)
        return -1;
    char classic_name[64];
    (void)snprintf(classic_name, sizeof classic_name, "%s_vs_get_put", workload->name);
    struct report_line line = {.name = workload->name,
                               .baseline_name = "raw_rocksdb",
                               .unit = "records/s",
                               .engine = figures[SIDE_ENGINE],
                               .baseline = figures[SIDE_BATCHED]};
    report_line(settings, &line);
    line.name = classic_name;
    line.baseline_name = "raw_rocksdb_get_put";
    line.baseline = figures[SIDE_CLASSIC];
    report_line(settings, &line);
    return 0;
}
