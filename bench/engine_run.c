#include "engine_run.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hold.h"

enum { LOOK_EVERY_MS = 5, FIRST_RECORD_SECONDS_MAX = 120 };

/* Ends the run. `lock` guards `ended`, which the condition is about. */
struct watch {
    const struct engine_run *run;
    strid_pipeline *pipeline;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ended;
    double started_s;
    double first_s, first_cpu_s; /* when nothing was handled yet, for the last time */
    struct hold hold;
};

static void print_log(void *user, strid_log_level level, const char *logger, const char *message)
{
    const struct engine_run *run = user;
    if (level >= STRID_LOG_WARN)
        fprintf(stderr, "strid-bench: %s: %s: %s\n", run->name, logger, message);
}

/* Whether the run has done what it was started for. Its seconds begin with the first record, since
 * opening a large state may take as long as a short run, and the raw loops' opening is not counted
 * either. */
static bool is_enough(struct watch *watch)
{
    const struct engine_run *run = watch->run;
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    strid_pipeline_get_stats(watch->pipeline, &stats);
    double now_s = measure_wall_s();
    if (stats.records == 0) {
        watch->first_s = now_s;
        watch->first_cpu_s = measure_cpu_s();
        return now_s - watch->started_s > FIRST_RECORD_SECONDS_MAX;
    }
    if (run->seconds > 0 && now_s - watch->first_s >= run->seconds)
        return true;
    return run->records_stop != 0 && stats.records >= run->records_stop;
}

static void hold_one_second(struct watch *watch)
{
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    strid_pipeline_get_stats(watch->pipeline, &stats);
    hold_second(&watch->hold, &stats);
}

/* Wakes a few hundred times a second at most, so that it costs the run nothing. */
static void *watch_main(void *user)
{
    struct watch *watch = user;
    (void)pthread_mutex_lock(&watch->lock);
    while (!watch->ended && !is_enough(watch)) {
        if (watch->run->hold && measure_wall_s() - watch->started_s >= watch->hold.second + 1)
            hold_one_second(watch);
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += LOOK_EVERY_MS * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        (void)pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
    }
    bool stop = !watch->ended;
    (void)pthread_mutex_unlock(&watch->lock);
    if (stop)
        strid_pipeline_stop(watch->pipeline);
    return NULL;
}

static strid_pipeline *make_pipeline(const struct engine_run *run, strid_error *err)
{
    union { /* the log callback takes its user pointer without const */
        const struct engine_run *in;
        void *out;
    } user = {.in = run};
    strid_pipeline *pipeline = strid_pipeline_create(
        &(strid_pipeline_options){
            STRID_PIPELINE_OPTIONS_INIT, .name = "bench", .source = run->source,
            .state = run->state, .format = run->format, .key = run->key, .dlq = run->dlq,
            .workers = run->workers != 0 ? run->workers : run->settings->workers,
            .memory_bytes = run->settings->memory, .max_parked = run->parked,
            .retry_min_ms = run->retry_ms, .retry_max_ms = run->retry_ms, .log = print_log,
            .log_user = user.out},
        err);
    if (pipeline == NULL)
        return NULL;
    strid_status status = STRID_OK;
    if (run->store != NULL)
        status = strid_pipeline_add_store(pipeline, run->store, run->store_out, err);
    if (status == STRID_OK)
        status = strid_pipeline_on(pipeline, "*", run->handler, run->user, err);
    if (status == STRID_OK)
        return pipeline;
    strid_pipeline_destroy(pipeline);
    return NULL;
}

/* Runs it with the watch beside it. */
static strid_status run_watched(struct watch *watch, strid_error *err)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&watch->lock, NULL);
    (void)pthread_cond_init(&watch->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    watch->started_s = measure_wall_s();
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, watch_main, watch);
    strid_status status = STRID_ENOMEM;
    if (failed == 0) {
        status = strid_pipeline_run(watch->pipeline, err);
        (void)pthread_mutex_lock(&watch->lock);
        watch->ended = true;
        (void)pthread_cond_signal(&watch->wake);
        (void)pthread_mutex_unlock(&watch->lock);
        (void)pthread_join(thread, NULL);
    } else if (err != NULL) {
        (void)snprintf(err->message, sizeof err->message, "no thread: %s", strerror(failed));
    }
    (void)pthread_cond_destroy(&watch->wake);
    (void)pthread_mutex_destroy(&watch->lock);
    return status;
}

int engine_run(const struct engine_run *run, struct bench_run *out, strid_pipeline_stats *stats)
{
    strid_error error = STRID_ERROR_INIT;
    strid_pipeline *pipeline = make_pipeline(run, &error);
    if (pipeline == NULL)
        return measure_failed(run->name, error.message);
    if (run->opened != NULL && run->opened(run->user, pipeline) != 0) {
        strid_pipeline_destroy(pipeline);
        return -1;
    }
    struct watch watch = {
        .run = run,
        .pipeline = pipeline,
        .first_cpu_s = measure_cpu_s(),
        .first_s = measure_wall_s(),
        .hold = {.settings = run->settings, .name = run->name, .directory = run->directory}};
    strid_status status = run_watched(&watch, &error);
    out->wall_s = measure_wall_s() - watch.first_s;
    out->cpu_s = measure_cpu_s() - watch.first_cpu_s;
    strid_pipeline_stats figures = {.struct_size = sizeof figures};
    strid_pipeline_get_stats(pipeline, &figures);
    if (run->closing != NULL)
        run->closing(run->user);
    strid_pipeline_destroy(pipeline);
    out->records = figures.records;
    out->syncs = figures.syncs;
    if (stats != NULL)
        *stats = figures;
    if (status != STRID_OK)
        return measure_failed(run->name, error.message);
    return run->hold ? hold_judge(&watch.hold) : 0;
}

struct sum {
    int64_t total;
    uint64_t keys;
    uint64_t others;
};

static bool add_entry(void *user, const strid_state_entry *entry)
{
    struct sum *sum = user;
    int64_t value = 0;
    if (entry->value.len >= sizeof value)
        memcpy(&value, entry->value.data, sizeof value);
    else
        sum->others++;
    sum->total += value;
    sum->keys++;
    return true;
}

int engine_run_sum(const char *state, const char *store, int64_t *out, uint64_t *keys)
{
    strid_error error = STRID_ERROR_INIT;
    strid_state_reader *reader = strid_state_reader_open(state, &error);
    if (reader == NULL)
        return measure_failed(state, error.message);
    struct sum sum = {0};
    strid_status status = strid_state_reader_scan(reader, store, add_entry, &sum, &error);
    strid_state_reader_close(reader);
    if (status != STRID_OK)
        return measure_failed(state, error.message);
    if (sum.others != 0)
        return measure_failed(state, "holds values without a number");
    *out = sum.total;
    *keys = sum.keys;
    return 0;
}
