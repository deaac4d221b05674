/* A durable count per key: the engine against plain RocksDB loops. Both start each run from the
 * same compacted database that holds the same keys with the same counts: the engine's state is made
 * by the engine, the raw database is bulk-loaded from it, and both are brought back before each
 * run. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine_run.h"
#include "raw/database.h"
#include "raw/rocksdb_loop.h"
#include "report.h"
#include "share.h"
#include "snapshot.h"
#include "workload.h"

enum {
    SPILL_TIMES = 10,    /* so many times the memory are the keys and counts alone */
    PREPARE_PER_KEY = 3, /* records a key that make the state; uniform: 95 % of the keys exist */
    PREPARE_KEY_BYTES = 224, /* of memory with which keys lie in the caches while state is made */
};

struct count {
    const struct workload *workload;
    const struct bench_settings *settings;
    strid_store store;
    char source[160];
    char state[MEASURE_PATH_MAX + 16];
    char state_directory[MEASURE_PATH_MAX];
    char state_kept[MEASURE_PATH_MAX]; /* as they are before each run */
    char raw_directory[MEASURE_PATH_MAX];
    char raw_kept[MEASURE_PATH_MAX];
    struct database_memory memory; /* of the raw database */
    int64_t prepared;              /* records that made the state */
    double sync_every_s;           /* as the engine's last run synced */
    struct keys keys;
    bool spills; /* more state than memory */
};

static strid_outcome count_record(strid_context *ctx, const strid_record *record, void *user)
{
    (void)record;
    const struct count *count = user;
    strid_state_put_i64(ctx, count->store, strid_state_get_i64(ctx, count->store, 0) + 1);
    return STRID_DONE;
}

/* Close, reopen, add up. */
static int check_engine(const struct count *count, int64_t handled)
{
    int64_t sum = 0;
    uint64_t keys = 0;
    if (engine_run_sum(count->state, "counts", &sum, &keys) != 0)
        return -1;
    if (sum == handled)
        return 0;
    fprintf(stderr,
            "strid-bench: %s: the counters add up to %" PRId64 ", %" PRId64
            " records were handled\n",
            count->workload->name, sum, handled);
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
    if (out->syncs > 0)
        count->sync_every_s = out->wall_s / (double)out->syncs;
    return 0;
}

static int measure_engine(struct count *count, double seconds, bool hold, struct bench_run *out)
{
    if (run_engine(count, seconds, 0, hold, out) != 0)
        return -1;
    return check_engine(count, count->prepared + (int64_t)out->records);
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
    else if (sum != count->prepared)
        (void)measure_failed(count->state, "could not be copied whole");
    else
        result = database_make(count->raw_directory, copy.entries, copy.count, &count->memory);
    free(copy.entries);
    return result == 0 ? snapshot_take(count->raw_directory, count->raw_kept) : result;
}

static int check_raw(const struct count *count, int64_t handled)
{
    int64_t sum = 0;
    if (database_sum(count->raw_directory, &count->memory, &sum) != 0)
        return -1;
    return sum == handled ? 0
                          : measure_failed(count->workload->name, "the raw counters do not add up");
}

/* Other: get and put for each record; of state that spills: reads by one thread. Threads: reads by
 * as many threads as the engine has workers; only of state that spills. */
enum { SIDE_ENGINE = 0, SIDE_BATCHED, SIDE_OTHER, SIDE_THREADS, SIDES };

static int run_raw(struct count *count, uint32_t side, double seconds, struct bench_run *out)
{
    const struct rocksdb_loop loop = {.path = count->raw_directory,
                                      .memory = &count->memory,
                                      .sync_every_s = count->sync_every_s,
                                      .keys = &count->keys};
    if (side == SIDE_THREADS)
        return rocksdb_loop_reads(&loop, share_workers(count->settings), seconds, out);
    if (side == SIDE_OTHER && count->spills)
        return rocksdb_loop_reads(&loop, 1, seconds, out);
    int result = side == SIDE_BATCHED ? rocksdb_loop_batched(&loop, seconds, out)
                                      : rocksdb_loop_classic(&loop, seconds, out);
    return result != 0 ? result : check_raw(count, count->prepared + (int64_t)out->records);
}

static int run_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    struct count *count = user;
    if (side == SIDE_ENGINE)
        return snapshot_restore(count->state_kept, count->state_directory) != 0
                   ? -1
                   : measure_engine(count, seconds, false, out);
    return snapshot_restore(count->raw_kept, count->raw_directory) != 0
               ? -1
               : run_raw(count, side, seconds, out);
}

static void init(struct count *count, uint64_t keys)
{
    const struct bench_settings *settings = count->settings;
    (void)snprintf(count->source, sizeof count->source,
                   "generator:?seed=1&records=0&keys=%" PRIu64 "&size=%" PRIu32 "&dist=%s", keys,
                   settings->value_bytes, count->workload->zipf ? "zipf:1.0" : "uniform");
    (void)snprintf(count->state_directory, sizeof count->state_directory, "%s/%s.state",
                   settings->directory, count->workload->name);
    (void)snprintf(count->state, sizeof count->state, "rocksdb:%s", count->state_directory);
    (void)snprintf(count->state_kept, sizeof count->state_kept, "%s/%s.state.kept",
                   settings->directory, count->workload->name);
    (void)snprintf(count->raw_directory, sizeof count->raw_directory, "%s/%s.raw",
                   settings->directory, count->workload->name);
    (void)snprintf(count->raw_kept, sizeof count->raw_kept, "%s/%s.raw.kept", settings->directory,
                   count->workload->name);
    share_divide(settings, &count->memory);
    count->sync_every_s = 0.1;
    keys_init(&count->keys, 2, keys, count->workload->zipf);
}

/* Runs the engine for so many records of the state. */
static int prepare_records(struct count *count, uint64_t records)
{
    struct bench_run run = {0};
    int result = run_engine(count, 0, records, false, &run);
    count->prepared += (int64_t)run.records;
    return result;
}

/* The engine's state. What spills is made with the memory that it would take not to, since making
 * it is not what is measured. The run of one record has the measured runs' memory: opening loads
 * what the first run left in blocks, so that opening before each of them has nothing left to load.
 */
static int make_state(struct count *count, uint64_t keys)
{
    const struct bench_settings *settings = count->settings;
    struct bench_settings roomy = *settings;
    if (count->spills && roomy.memory < keys * PREPARE_KEY_BYTES)
        roomy.memory = keys * PREPARE_KEY_BYTES;
    count->settings = &roomy;
    int result = prepare_records(count, keys * PREPARE_PER_KEY);
    count->settings = settings;
    return result == 0 ? prepare_records(count, 1) : result;
}

/* Compacted whole: files of level 0 that were made with more memory than the run has would have
 * their filters in it, all of them. */
static int make_compacted(struct count *count, uint64_t keys)
{
    return make_state(count, keys) != 0 ? -1
                                        : database_compact(count->state_directory, &count->memory);
}

/* In a process of its own: what making the state took is not counted as what the held run takes. No
 * thread of the engine may have been started in this process. */
static int apart(struct count *count, uint64_t keys, int (*work)(struct count *, uint64_t))
{
    int ends[2];
    int status = 1;
    (void)fflush(stdout);
    if (pipe(ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        int result = work(count, keys);
        bool told = write(ends[1], &count->prepared, sizeof count->prepared) ==
                    (ssize_t)sizeof count->prepared;
        _exit(result == 0 && told && fflush(stdout) == 0 ? 0 : 1);
    }
    (void)close(ends[1]);
    bool told = child > 0 && read(ends[0], &count->prepared, sizeof count->prepared) ==
                                 (ssize_t)sizeof count->prepared;
    (void)close(ends[0]);
    if (child > 0)
        (void)waitpid(child, &status, 0);
    return told && status == 0 ? 0 : -1;
}

static int hold(struct count *count, uint64_t keys)
{
    (void)keys;
    struct bench_run run;
    return measure_engine(count, count->settings->hold_seconds, true, &run);
}

/* Both databases, compacted, and how they are. */
static int prepare(struct count *count, uint64_t keys)
{
    if (make_compacted(count, keys) != 0 || make_raw(count) != 0)
        return -1;
    return snapshot_take(count->state_directory, count->state_kept);
}

static void report_side(const struct count *count, const struct measure_figures *figures,
                        uint32_t side, const char *suffix)
{
    static const char *const of_spill[SIDES] = {
        [SIDE_BATCHED] = "raw_rocksdb",
        [SIDE_OTHER] = "raw_rocksdb_multi_get",
        [SIDE_THREADS] = "raw_rocksdb_multi_get_threads",
    };
    char name[64];
    (void)snprintf(name, sizeof name, "%s%s", count->workload->name, suffix);
    const struct report_line line = {.name = name,
                                     .baseline_name = side == SIDE_OTHER && !count->spills
                                                          ? "raw_rocksdb_get_put"
                                                          : of_spill[side],
                                     .unit = "records/s",
                                     .engine = figures[SIDE_ENGINE],
                                     .baseline = figures[side]};
    report_line(count->settings, &line);
}

static int run_workload(struct count *count, uint64_t keys)
{
    const struct bench_settings *settings = count->settings;
    init(count, keys);
    if (settings->hold_seconds != 0)
        return apart(count, keys, make_compacted) != 0 ? -1 : apart(count, keys, hold);
    if (prepare(count, keys) != 0)
        return -1;
    const struct measure_plan plan = {
        .user = count, .run = run_side, .side_count = count->spills ? SIDES : SIDE_THREADS};
    struct measure_figures figures[MEASURE_SIDES_MAX];
    if (measure(&plan, settings, figures) != 0)
        return -1;
    if (!count->spills) {
        report_side(count, figures, SIDE_BATCHED, "");
        report_side(count, figures, SIDE_OTHER, "_vs_get_put");
        return 0;
    }
    report_side(count, figures, SIDE_OTHER, "");
    report_side(count, figures, SIDE_THREADS, "_vs_threads");
    report_side(count, figures, SIDE_BATCHED, "_vs_count");
    return 0;
}

int engine_count(const struct workload *workload, const struct bench_settings *settings)
{
    struct count count = {.workload = workload, .settings = settings};
    return run_workload(&count, settings->keys != 0 ? settings->keys : workload->keys);
}

int engine_spill(const struct workload *workload, const struct bench_settings *settings)
{
    struct count count = {.workload = workload, .settings = settings, .spills = true};
    uint64_t keys = SPILL_TIMES * settings->memory / (KEYS_BYTES + sizeof(int64_t));
    return run_workload(&count, settings->keys != 0 ? settings->keys : keys);
}
