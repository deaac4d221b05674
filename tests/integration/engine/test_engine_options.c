/* strid_pipeline_options: sizes of older headers, refusals, and what the newer members do. */
#include <criterion/criterion.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <strid/strid.h>

static const strid_pipeline_options plain = {
    STRID_PIPELINE_OPTIONS_INIT, .name = "options", .source = "memory:in",    .format = "raw",
    .dlq = "memory:dlq",         .workers = 1,      .memory_bytes = 64u << 20};

static void check_refused(const strid_pipeline_options *options, const char *message)
{
    strid_error err = STRID_ERROR_INIT;
    cr_assert_null(strid_pipeline_create(options, &err));
    cr_assert_not_null(strstr(err.message, message), "%s", err.message);
}

Test(engine_options, an_older_and_smaller_struct_is_taken_as_far_as_it_goes)
{
    strid_error err = STRID_ERROR_INIT;
    strid_pipeline_options options = plain;
    options.timeout_ms = -5; /* behind the end of what the caller knows of */
    options.unrouted = (strid_unrouted)77;
    options.struct_size = offsetof(strid_pipeline_options, timeout_ms);
    strid_pipeline *pipeline = strid_pipeline_create(&options, &err);
    cr_assert_not_null(pipeline, "%s", err.message);
    strid_pipeline_destroy(pipeline);
}

Test(engine_options, other_sizes_are_refused)
{
    strid_pipeline_options options = plain;
    options.struct_size = 0;
    check_refused(&options, "wrong size");
    options.struct_size = offsetof(strid_pipeline_options, timeout_ms) - 1;
    check_refused(&options, "wrong size");
    options.struct_size = sizeof options + 1;
    check_refused(&options, "not older than the headers");
    check_refused(NULL, "wrong size");
}

Test(engine_options, bad_values_are_refused)
{
    strid_pipeline_options options = plain;
    options.timeout_ms = -1;
    check_refused(&options, "a timeout of -1 ms");
    options.timeout_ms = INT64_MAX;
    check_refused(&options, "at most a day");
    options = plain;
    options.on_timeout = (strid_on_timeout)3;
    check_refused(&options, "3 is no on_timeout");
    options = plain;
    options.unrouted = (strid_unrouted)3;
    check_refused(&options, "3 is no unrouted");
    options = plain;
    options.durability = (strid_durability)4;
    check_refused(&options, "4 is no durability");
    options = plain;
    options.ordering = (strid_ordering)4;
    check_refused(&options, "4 is no ordering");
    options = plain;
    options.retry_min_ms = 50000;
    check_refused(&options, "a backoff from min 50s to max 30s");
    options = plain;
    options.retry_step_count = 33;
    check_refused(&options, "a backoff of 33 steps: expected 1 to 32");
    options.retry_step_count = 1;
    check_refused(&options, "a backoff of 1 steps");
}

/* A host that creates its pipelines at its start is told there, as for a bad source. */
Test(engine_options, a_bad_dead_letter_queue_is_refused)
{
    strid_pipeline_options options = plain;
    options.dlq = "nowhere:letters";
    check_refused(&options, "nowhere");
    options.dlq = "file:letters?sync=perhaps";
    check_refused(&options, "dead-letter queue: ");
    options.dlq = "";
    check_refused(&options, "dead-letter queue: ");
    options.source = "file:/tmp/orders";
    options.dlq = "file:/tmp/orders";
    check_refused(&options, "which the source reads");
}

struct told {
    _Atomic bool timeout;
    uint32_t calls;
};

static void listen(void *user, strid_log_level level, const char *logger, const char *message)
{
    struct told *told = user;
    (void)level;
    (void)logger;
    if (strstr(message, "exceeded its timeout of 20 ms") != NULL)
        told->timeout = true;
}

/* The first call returns when the watchdog has spoken, at most 30 s later. */
static strid_outcome wait_once(strid_context *ctx, const strid_record *record, void *user)
{
    struct told *told = user;
    (void)ctx;
    (void)record;
    time_t until = time(NULL) + 30;
    if (told->calls++ == 0)
        while (!told->timeout && time(NULL) < until)
            continue;
    return STRID_DONE;
}

static strid_pipeline_stats run(strid_pipeline *pipeline, const char *type, strid_handler handler,
                                void *user)
{
    strid_error err = STRID_ERROR_INIT;
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    cr_assert_not_null(pipeline);
    cr_assert_eq(strid_pipeline_on(pipeline, type, handler, user, &err), STRID_OK);
    cr_assert_eq(strid_push(pipeline, 0, strid_bytes_of_text("k"), strid_bytes_of_text("v"), 0),
                 STRID_OK);
    strid_push_end(pipeline);
    cr_assert_eq(strid_pipeline_run(pipeline, &err), STRID_OK, "%s", err.message);
    strid_pipeline_get_stats(pipeline, &stats);
    return stats;
}

Test(engine_options, a_pipeline_without_handlers_is_not_run)
{
    strid_error err = STRID_ERROR_INIT;
    strid_pipeline *pipeline = strid_pipeline_create(&plain, &err);
    strid_pipeline_info info = {.struct_size = sizeof info};
    cr_assert_not_null(pipeline, "%s", err.message);
    strid_pipeline_get_info(pipeline, &info);
    cr_assert_eq(info.handlers, 0);
    cr_assert_eq(strid_pipeline_run(pipeline, &err), STRID_ECONFIG);
    cr_assert_not_null(strstr(err.message, "\"options\" has no handler"), "%s", err.message);
    strid_pipeline_destroy(pipeline);
}

Test(engine_options, a_timeout_with_threads_and_clocks)
{
    struct told told = {.calls = 0};
    strid_pipeline_options options = plain;
    options.timeout_ms = 20;
    options.on_timeout = STRID_ON_TIMEOUT_RETRY;
    options.log = listen;
    options.log_user = &told;
    strid_pipeline *pipeline = strid_pipeline_create(&options, NULL);
    strid_pipeline_stats stats = run(pipeline, "*", wait_once, &told);
    cr_assert(told.timeout && told.calls == 2);
    cr_assert(stats.timed_out == 1 && stats.retried == 1 && stats.done == 1);
    strid_pipeline_destroy(pipeline);
}

Test(engine_options, what_no_handler_wants_goes_where_they_say)
{
    for (int dlq = 0; dlq < 2; dlq++) {
        struct told told = {.calls = 0};
        strid_pipeline_options options = plain;
        options.unrouted = dlq == 1 ? STRID_UNROUTED_DLQ : STRID_UNROUTED_SKIP;
        strid_pipeline *pipeline = strid_pipeline_create(&options, NULL);
        strid_pipeline_stats stats = run(pipeline, "some.type", wait_once, &told);
        cr_assert(stats.dead_lettered == (uint64_t)dlq && stats.unrouted == (uint64_t)!dlq);
        cr_assert_eq(told.calls, 0);
        strid_pipeline_destroy(pipeline);
    }
}

/* However little a host program gives, a run goes on. */
Test(engine_options, least_memory_of_all_is_enough)
{
    struct told told = {.timeout = true};
    strid_pipeline_options options = plain;
    options.memory_bytes = 1;
    options.workers = 2;
    strid_pipeline *pipeline = strid_pipeline_create(&options, NULL);
    cr_assert_eq(run(pipeline, "*", wait_once, &told).done, 1);
    strid_pipeline_destroy(pipeline);
}

struct twice {
    strid_pipeline *pipeline;
    strid_error err;
};

static strid_outcome run_again(strid_context *ctx, const strid_record *record, void *user)
{
    struct twice *twice = user;
    (void)ctx;
    (void)record;
    return strid_pipeline_run(twice->pipeline, &twice->err) == STRID_OK ? STRID_SKIP : STRID_DONE;
}

Test(engine_options, one_that_runs_is_not_run_a_second_time)
{
    struct twice twice = {.pipeline = strid_pipeline_create(&plain, NULL)};
    cr_assert_eq(run(twice.pipeline, "*", run_again, &twice).done, 1);
    cr_assert_eq(twice.err.status, STRID_EINVAL);
    cr_assert_not_null(strstr(twice.err.message, "runs already"), "%s", twice.err.message);
    cr_assert_eq(strid_pipeline_run(twice.pipeline, &twice.err), STRID_OK, "it has ended");
    strid_pipeline_destroy(twice.pipeline);
}
