/* Readers, workers, storage, materialiser and committer at full speed over two partitions: runs are
 * drained or halted at random moments, with another worker count each time, until everything is
 * counted; then every key has exactly its records. A tiny cache and small redo keep the
 * materialiser and eviction busy. usage: stress_progress [--seed N] [--rounds N] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <strid/strid.h>

#include "support/support.h"

enum { RECORDS = 60000, RUNS_MAX = 60, KEYS = 20000 };

struct stress {
    strid_pipeline *pipeline;
    strid_store counts, last;
    uint64_t random;
    _Atomic int64_t calls;
    int64_t stop_at;
    bool at_once;
    _Atomic uint64_t wrong; /* records of a key that came out of order */
};

static uint64_t random_below(struct stress *stress, uint64_t below)
{
    stress->random = stress->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (stress->random >> 33) % below;
}

/* Of one partition a key's positions rise; the second store remembers the last one of each. */
static strid_outcome count(strid_context *ctx, const strid_record *record, void *user)
{
    struct stress *stress = user;
    uint64_t last[2] = {0, 0};
    strid_bytes stored;
    if (strid_state_get(ctx, stress->last, &stored) == STRID_STATE_BYTES)
        memcpy(last, stored.data, sizeof last);
    if (last[record->origin->partition] > record->position.low)
        stress->wrong++;
    last[record->origin->partition] = record->position.low + 1;
    if (strid_state_put(ctx, stress->last, strid_bytes_of(last, sizeof last)) != STRID_OK)
        return STRID_REJECT;
    strid_state_put_i64(ctx, stress->counts, strid_state_get_i64(ctx, stress->counts, 0) + 1);
    if (++stress->calls == stress->stop_at) {
        strid_pipeline_stop(stress->pipeline);
        if (stress->at_once)
            strid_pipeline_stop(stress->pipeline);
    }
    return STRID_DONE;
}

static bool add_up(void *user, const strid_state_entry *entry)
{
    int64_t value = 0;
    if (entry->kind == STRID_STATE_I64)
        memcpy(&value, entry->value.data, sizeof value);
    *(int64_t *)user += value;
    return true;
}

static int64_t counted(const char *state)
{
    strid_error err = STRID_ERROR_INIT;
    int64_t total = 0;
    strid_state_reader *reader = strid_state_reader_open(state, &err);
    if (reader == NULL ||
        strid_state_reader_scan(reader, "counts", add_up, &total, &err) != STRID_OK)
        (void)fprintf(stderr, "%s\n", err.message);
    strid_state_reader_close(reader);
    return total;
}

static strid_status run_once(struct stress *stress, const char *state, uint64_t left)
{
    strid_error err = STRID_ERROR_INIT;
    char source[128];
    (void)snprintf(source, sizeof source, "generator:?records=%d&keys=%d&seed=5&partitions=2",
                   RECORDS, KEYS);
    stress->calls = 0;
    stress->stop_at = (int64_t)random_below(stress, 2 * left);
    stress->at_once = random_below(stress, 2) == 0;
    stress->pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "progress", .source = source,
                                  .format = "raw", .state = state,
                                  .workers = 1 + (uint32_t)random_below(stress, 4),
                                  .memory_bytes = 8u << 20},
        &err);
    strid_status status = STRID_EINTERNAL;
    if (stress->pipeline != NULL &&
        strid_pipeline_add_store(stress->pipeline, "counts", &stress->counts, &err) == STRID_OK &&
        strid_pipeline_add_store(stress->pipeline, "last", &stress->last, &err) == STRID_OK &&
        strid_pipeline_on(stress->pipeline, "*", count, stress, &err) == STRID_OK)
        status = strid_pipeline_run(stress->pipeline, &err);
    if (status != STRID_OK && status != STRID_ECANCELLED)
        (void)fprintf(stderr, "%s: %s\n", strid_status_name(status), err.message);
    strid_pipeline_destroy(stress->pipeline);
    return status;
}

static bool run_round(uint64_t seed)
{
    struct stress stress = {.random = seed};
    struct support_directory directory;
    char state[SUPPORT_PATH_MAX + 16];
    support_directory_create(&directory);
    (void)snprintf(state, sizeof state, "rocksdb:%s/state", directory.path);
    int64_t total = 0;
    int runs = 0;
    bool fine = true;
    while (fine && total < RECORDS && runs++ < RUNS_MAX) {
        strid_status status = run_once(&stress, state, (uint64_t)(RECORDS - total));
        int64_t now = counted(state);
        fine = (status == STRID_OK || status == STRID_ECANCELLED) && now >= total &&
               now <= RECORDS && stress.wrong == 0;
        total = now;
    }
    fine = fine && total == RECORDS;
    if (!fine)
        (void)fprintf(stderr,
                      "seed %" PRIu64 ": %" PRId64 " of %d counted, %" PRIu64 " out of order\n",
                      seed, total, RECORDS, stress.wrong);
    support_directory_remove(&directory);
    return fine;
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, rounds = 4, failed = 0;
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--rounds") == 0)
            rounds = strtoull(argv[i + 1], NULL, 10);
    for (uint64_t round = 0; round < rounds; round++)
        failed += run_round(seed + round) ? 0 : 1;
    printf("%" PRIu64 " rounds from seed %" PRIu64 ", %" PRIu64 " failed\n", rounds, seed, failed);
    return failed == 0 ? 0 : 1;
}
