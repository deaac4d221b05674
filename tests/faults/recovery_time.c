/* A kill while the redo bound is reached: how long until the first record is handled again, and
 * whether nothing was lost or counted twice.
 *
 *   recovery_time KEYS RECORDS MEMORY SECONDS
 *   recovery_time run DIR KEYS RECORDS MEMORY     (the process that is killed)
 *
 * The kill comes when the materialiser has folded its first blocks: redo is at three quarters of
 * its bound, and writing has gone on since. The input repeats itself, so that the sum of all
 * counters is the number of records. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <strid/strid.h>

#include "faults_child.h"
#include "support/support.h"

enum { PATH_ROOM = 4096 };

struct settings {
    const char *directory;
    const char *keys, *records, *memory;
};

struct first {
    strid_store store;
    _Atomic int64_t at_ns; /* of the first record; 0: none yet */
    int64_t processor_ns;  /* of the process, by then; @thread the worker that came first */
};

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Says more than the time that went by where others use the machine, too. */
static int64_t processor_ns(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static strid_outcome count(strid_context *ctx, const strid_record *record, void *user)
{
    (void)record;
    struct first *first = user;
    if (atomic_load_explicit(&first->at_ns, memory_order_relaxed) == 0) {
        int64_t none = 0;
        int64_t used = processor_ns();
        if (atomic_compare_exchange_strong(&first->at_ns, &none, now_ns()))
            first->processor_ns = used;
    }
    strid_state_put_i64(ctx, first->store, strid_state_get_i64(ctx, first->store, 0) + 1);
    return STRID_DONE;
}

static void state_url(const struct settings *settings, char out[PATH_ROOM])
{
    (void)snprintf(out, PATH_ROOM, "rocksdb:%s/state", settings->directory);
}

/* Runs to the end of the input; the seconds until its first record go to *seconds. */
static int run(const struct settings *settings, double *seconds)
{
    char source[PATH_ROOM], state[PATH_ROOM];
    strid_error error = STRID_ERROR_INIT;
    struct first first = {0};
    (void)snprintf(source, sizeof source, "generator:?seed=7&size=16&keys=%s&records=%s",
                   settings->keys, settings->records);
    state_url(settings, state);
    int64_t begin = now_ns(), used = processor_ns();
    strid_pipeline *pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "recovery", .source = source,
                                  .state = state, .format = "raw",
                                  .memory_bytes = strtoull(settings->memory, NULL, 10)},
        &error);
    strid_status status = pipeline == NULL ? error.status : STRID_OK;
    if (status == STRID_OK)
        status = strid_pipeline_add_store(pipeline, "counts", &first.store, &error);
    if (status == STRID_OK)
        status = strid_pipeline_on(pipeline, "*", count, &first, &error);
    if (status == STRID_OK)
        status = strid_pipeline_run(pipeline, &error);
    if (status != STRID_OK)
        fprintf(stderr, "recovery_time: %s\n", error.message);
    *seconds = (double)(first.at_ns - begin) / 1e9;
    if (status == STRID_OK)
        printf("first record after %.3f s, %.3f s of processor time\n", *seconds,
               (double)(first.processor_ns - used) / 1e9);
    if (pipeline != NULL)
        strid_pipeline_destroy(pipeline);
    return status == STRID_OK ? 0 : 1;
}

static bool add(void *user, const strid_state_entry *entry)
{
    int64_t value = 0;
    memcpy(&value, entry->value.data, sizeof value);
    *(int64_t *)user += value;
    return true;
}

/* Everything once: the counters add up to the number of records. */
static int check_sum(const struct settings *settings)
{
    char state[PATH_ROOM];
    strid_error error = STRID_ERROR_INIT;
    int64_t sum = 0;
    state_url(settings, state);
    strid_state_reader *reader = strid_state_reader_open(state, &error);
    strid_status status = reader == NULL
                              ? error.status
                              : strid_state_reader_scan(reader, "counts", add, &sum, &error);
    if (reader != NULL)
        strid_state_reader_close(reader);
    if (status != STRID_OK) {
        fprintf(stderr, "recovery_time: %s\n", error.message);
        return 1;
    }
    if (sum == strtoll(settings->records, NULL, 10))
        return 0;
    fprintf(stderr, "recovery_time: the counters add up to %" PRId64 " after %s records\n", sum,
            settings->records);
    return 1;
}

/* What lies in blocks; it has to be there, or the kill showed nothing. */
static int print_redo(const struct settings *settings)
{
    char state[PATH_ROOM];
    strid_error error = STRID_ERROR_INIT;
    strid_state_stats stats = {0};
    state_url(settings, state);
    strid_state_reader *reader = strid_state_reader_open(state, &error);
    strid_status status =
        reader == NULL ? error.status : strid_state_reader_stats(reader, &stats, &error);
    if (reader != NULL)
        strid_state_reader_close(reader);
    if (status != STRID_OK || stats.redo_bytes == 0) {
        fprintf(stderr, "recovery_time: no redo after the kill: %s\n", error.message);
        return 1;
    }
    printf("redo %.1f MiB in %" PRIu64 " blocks\n", (double)stats.redo_bytes / (1 << 20),
           stats.redo_blocks);
    return 0;
}

static int crash(const struct settings *settings, const char *point)
{
    const char *const args[] = {
        "run", settings->directory, settings->keys, settings->records, settings->memory, NULL};
    bool killed = false;
    (void)faults_child_run(&(struct faults_child){.args = args, .crash_point = point}, &killed);
    if (!killed)
        fprintf(stderr, "recovery_time: %s was not reached\n", point);
    return killed ? 0 : 1;
}

static int test(const struct settings *settings, double seconds_max)
{
    double seconds = 0;
    /* Then one in the middle of recovery: the next one has the same to do again. */
    if (crash(settings, "materialiser_before_ingest:2") != 0 || print_redo(settings) != 0 ||
        crash(settings, "recover_after_ingest:1") != 0 || print_redo(settings) != 0 ||
        run(settings, &seconds) != 0)
        return 1;
    if (seconds <= 0 || seconds > seconds_max) {
        fprintf(stderr, "recovery_time: the first record has to be handled within %g s\n",
                seconds_max);
        return 1;
    }
    return check_sum(settings);
}

int main(int argc, char **argv)
{
    double seconds = 0;
    if (argc == 6 && strcmp(argv[1], "run") == 0)
        return run(&(struct settings){argv[2], argv[3], argv[4], argv[5]}, &seconds);
    if (argc != 5) {
        fprintf(stderr, "usage: recovery_time KEYS RECORDS MEMORY SECONDS\n");
        return 2;
    }
    struct support_directory directory = {0};
    support_directory_create(&directory);
    int result =
        test(&(struct settings){directory.path, argv[1], argv[2], argv[3]}, strtod(argv[4], NULL));
    support_directory_remove(&directory);
    return result;
}
