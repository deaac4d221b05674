/* Large values rewritten, durably: the engine against the disk, which takes the same bytes one
 * after the other. A value begins with how often it was written, so that the result can be checked,
 * and no part of it can be compressed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_run.h"
#include "raw/database.h"
#include "raw/disk_loop.h"
#include "raw/keys.h"
#include "report.h"
#include "share.h"
#include "snapshot.h"
#include "workload.h"

enum {
    VALUE_BYTES = 1024,
    RECORD_BYTES = 16,   /* the record itself is small: what is written is made by the handler */
    PREPARE_PER_KEY = 3, /* records a key that make the state: 95 % of the keys exist */
    NOISE_VALUES = 4096
};

struct bytes {
    const struct workload *workload;
    const struct bench_settings *settings;
    strid_store store;
    char source[160];
    char state[MEASURE_PATH_MAX + 16];
    char state_directory[MEASURE_PATH_MAX];
    char state_kept[MEASURE_PATH_MAX]; /* as it is before each run */
    char file[MEASURE_PATH_MAX];
    uint8_t *noise; /* NOISE_VALUES values; handlers only read it */
    struct database_memory memory;
    double sync_every_s; /* as the engine's last run synced */
    int64_t prepared;    /* records that made the state */
};

static strid_outcome write_value(strid_context *ctx, const strid_record *record, void *user)
{
    const struct bytes *bytes = user;
    strid_bytes old;
    int64_t count = 0;
    if (strid_state_get(ctx, bytes->store, &old) == STRID_STATE_BYTES && old.len == VALUE_BYTES)
        memcpy(&count, old.data, sizeof count);
    count++;
    uint64_t mark = 0; /* the last digits of the key: neighbours get different bytes */
    if (record->key.len >= sizeof mark)
        memcpy(&mark, record->key.data + record->key.len - sizeof mark, sizeof mark);
    mark *= UINT64_C(0x9e3779b97f4a7c15);
    uint64_t at = ((mark >> 40) + (uint64_t)count) % NOISE_VALUES;
    uint8_t value[VALUE_BYTES];
    memcpy(value, bytes->noise + at * VALUE_BYTES, sizeof value);
    memcpy(value, &count, sizeof count);
    strid_status status =
        strid_state_put(ctx, bytes->store, (strid_bytes){.data = value, .len = sizeof value});
    return status == STRID_OK ? STRID_DONE : STRID_RETRY;
}

static int run_engine(struct bytes *bytes, double seconds, uint64_t records_stop, bool hold,
                      struct bench_run *out)
{
    const struct engine_run run = {.name = bytes->workload->name,
                                   .source = bytes->source,
                                   .format = "raw",
                                   .state = bytes->state,
                                   .directory = bytes->state_directory,
                                   .store = "values",
                                   .store_out = &bytes->store,
                                   .handler = write_value,
                                   .user = bytes,
                                   .settings = bytes->settings,
                                   .seconds = seconds,
                                   .records_stop = records_stop,
                                   .hold = hold};
    if (engine_run(&run, out, NULL) != 0)
        return -1;
    if (out->syncs > 0)
        bytes->sync_every_s = out->wall_s / (double)out->syncs;
    int64_t sum = 0;
    uint64_t keys = 0;
    if (engine_run_sum(bytes->state, "values", &sum, &keys) != 0)
        return -1;
    return sum == bytes->prepared + (int64_t)out->records
               ? 0
               : measure_failed(run.name, "the values were not written as often as records say");
}

static int run_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    struct bytes *bytes = user;
    if (side == 0)
        return snapshot_restore(bytes->state_kept, bytes->state_directory) != 0
                   ? -1
                   : run_engine(bytes, seconds, 0, false, out);
    const struct disk_loop loop = {.path = bytes->file,
                                   .bytes = bytes->noise,
                                   .bytes_len = (size_t)NOISE_VALUES * VALUE_BYTES,
                                   .record_bytes = VALUE_BYTES,
                                   .sync_every_s = bytes->sync_every_s};
    return disk_loop(&loop, seconds, out);
}

static int init(struct bytes *bytes, uint64_t keys)
{
    const char *directory = bytes->settings->directory;
    size_t noise_len = (size_t)NOISE_VALUES * VALUE_BYTES;
    bytes->noise = malloc(noise_len);
    if (bytes->noise == NULL)
        return measure_failed(bytes->workload->name, "out of memory");
    struct keys numbers;
    keys_init(&numbers, 3, UINT64_MAX, false);
    for (size_t i = 0; i < noise_len; i += sizeof(uint64_t)) {
        uint64_t number = keys_next(&numbers);
        memcpy(bytes->noise + i, &number, sizeof number);
    }
    share_divide(bytes->settings, &bytes->memory);
    bytes->sync_every_s = 0.1;
    (void)snprintf(bytes->source, sizeof bytes->source,
                   "generator:?seed=1&records=0&keys=%" PRIu64 "&size=%d", keys, RECORD_BYTES);
    (void)snprintf(bytes->state_directory, sizeof bytes->state_directory, "%s/%s.state", directory,
                   bytes->workload->name);
    (void)snprintf(bytes->state_kept, sizeof bytes->state_kept, "%s/%s.kept", directory,
                   bytes->workload->name);
    (void)snprintf(bytes->state, sizeof bytes->state, "rocksdb:%s", bytes->state_directory);
    (void)snprintf(bytes->file, sizeof bytes->file, "%s/%s.file", directory, bytes->workload->name);
    return 0;
}

/* The run of one record loads what the first one left in blocks, so that opening before each
 * measured run has nothing left to load. */
static int prepare(struct bytes *bytes, uint64_t keys)
{
    const uint64_t records[] = {keys * PREPARE_PER_KEY, 1};
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        struct bench_run run = {0};
        if (run_engine(bytes, 0, records[i], false, &run) != 0)
            return -1;
        bytes->prepared += (int64_t)run.records;
    }
    if (bytes->settings->hold_seconds != 0)
        return 0;
    if (database_compact(bytes->state_directory, &bytes->memory) != 0)
        return -1;
    return snapshot_take(bytes->state_directory, bytes->state_kept);
}

static int run_workload(struct bytes *bytes, uint64_t keys)
{
    const struct bench_settings *settings = bytes->settings;
    struct bench_run run;
    if (init(bytes, keys) != 0 || prepare(bytes, keys) != 0)
        return -1;
    if (settings->hold_seconds != 0)
        return run_engine(bytes, settings->hold_seconds, 0, true, &run);
    const struct measure_plan plan = {.user = bytes, .run = run_side, .side_count = 2};
    struct measure_figures figures[MEASURE_SIDES_MAX];
    if (measure(&plan, settings, figures) != 0)
        return -1;
    const struct report_line line = {.name = bytes->workload->name,
                                     .baseline_name = "raw_disk",
                                     .unit = "records/s",
                                     .engine = figures[0],
                                     .baseline = figures[1]};
    report_line(settings, &line);
    return 0;
}

int engine_bytes(const struct workload *workload, const struct bench_settings *settings)
{
    struct bytes bytes = {.workload = workload, .settings = settings};
    int result = run_workload(&bytes, settings->keys != 0 ? settings->keys : workload->keys);
    free(bytes.noise);
    return result;
}
