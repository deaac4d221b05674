/* Pipelines that are stopped from another thread at any moment, once or twice: the run ends, says
 * how, and what it counted is what the state holds.
 * usage: stress_shutdown [ROUNDS] */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <strid/strid.h>

#include "support/support.h"

enum { ROUNDS_DEFAULT = 30, RECORDS_STEP = 700 };

struct stopper {
    strid_pipeline *pipeline;
    uint64_t after;     /* records */
    uint64_t behind_us; /* position that no earlier run read beyond */
    int calls;
    _Atomic bool ended; /* the run came back by itself */
};

static void *stop_later(void *user)
{
    struct stopper *stopper = user;
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    do {
        sched_yield();
        strid_pipeline_get_stats(stopper->pipeline, &stats);
        /* A run that was stopped at once leaves some workers ahead of the low position. What is
         * counted equals it again once a later run has read past all of that, not before. */
    } while ((stats.records < stopper->after || stats.bytes_read <= stopper->behind_us) &&
             !stopper->ended);
    for (int i = 0; i < stopper->calls; i++)
        strid_pipeline_stop(stopper->pipeline);
    return NULL;
}

static strid_outcome count(strid_context *ctx, const strid_record *record, void *user)
{
    (void)record;
    strid_store store = *(strid_store *)user;
    strid_state_put_i64(ctx, store, strid_state_get_i64(ctx, store, 0) + 1);
    return STRID_DONE;
}

static bool add_up(void *user, const strid_state_entry *entry)
{
    int64_t value = 0;
    memcpy(&value, entry->value.data, sizeof value);
    *(uint64_t *)user += (uint64_t)value;
    return true;
}

/* What the counters of the state add up to, and where the node goes on; false when they differ. */
static bool check(const char *state)
{
    strid_error err = STRID_ERROR_INIT;
    uint64_t counted = 0;
    uint64_t low = 0;
    strid_state_stats stats;
    strid_state_reader *reader = strid_state_reader_open(state, &err);
    bool fine = reader != NULL &&
                strid_state_reader_scan(reader, NULL, add_up, &counted, &err) == STRID_OK &&
                strid_state_reader_stats(reader, &stats, &err) == STRID_OK;
    if (fine)
        for (uint32_t i = 0; i < stats.partition_count; i++)
            low += stats.partitions[i].low.low;
    strid_state_reader_close(reader);
    if (!fine || counted != low)
        (void)fprintf(stderr, "%" PRIu64 " counted, %" PRIu64 " records behind us. %s\n", counted,
                      low, err.message);
    return fine && counted == low;
}

static bool run_round(const char *state, unsigned long round, uint64_t *behind_us)
{
    strid_error err = STRID_ERROR_INIT;
    strid_store store = 0;
    struct stopper stopper = {
        .after = round * RECORDS_STEP, .calls = 1 + (int)(round % 2), .behind_us = *behind_us};
    stopper.pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "shutdown",
                                  .source = "generator:?keys=500&seed=3", .format = "raw",
                                  .state = state, .workers = 1 + (uint32_t)(round % 3)},
        &err);
    pthread_t thread;
    if (stopper.pipeline == NULL ||
        strid_pipeline_add_store(stopper.pipeline, "counts", &store, &err) != STRID_OK ||
        strid_pipeline_on(stopper.pipeline, "*", count, &store, &err) != STRID_OK ||
        pthread_create(&thread, NULL, stop_later, &stopper) != 0) {
        (void)fprintf(stderr, "round %lu: %s\n", round, err.message);
        return false;
    }
    strid_status status = strid_pipeline_run(stopper.pipeline, &err);
    stopper.ended = true;
    pthread_join(thread, NULL);
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    strid_pipeline_get_stats(stopper.pipeline, &stats);
    if (stats.bytes_read > *behind_us)
        *behind_us = stats.bytes_read;
    strid_pipeline_destroy(stopper.pipeline);
    /* two calls: the drain may have been done before the second */
    bool fine = status == STRID_OK || (stopper.calls == 2 && status == STRID_ECANCELLED);
    if (!fine)
        (void)fprintf(stderr, "round %lu: %s: %s\n", round, strid_status_name(status), err.message);
    /* stopped at once, blocks of one worker may be ahead of the low position */
    if (fine && (status != STRID_OK || check(state)))
        return true;
    (void)fprintf(stderr, "round %lu, %d calls of stop, %s\n", round, stopper.calls,
                  strid_status_name(status));
    return false;
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    struct support_directory directory;
    support_directory_create(&directory);
    char state[SUPPORT_PATH_MAX + 16];
    (void)snprintf(state, sizeof state, "rocksdb:%s/state", directory.path);
    unsigned long failed = 0;
    uint64_t behind_us = 0;
    for (unsigned long round = 0; round < rounds; round++)
        failed += run_round(state, round, &behind_us) ? 0 : 1;
    support_directory_remove(&directory);
    printf("%lu rounds, %lu failed\n", rounds, failed);
    return failed == 0 ? 0 : 1;
}
