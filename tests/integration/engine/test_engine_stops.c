/* Runs that end early: by a stop, by two, by an error of the store, for want of a dead-letter
 * queue; and that the next run, or the same one, completes exactly. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine_case.h"

enum { RECORDS = 20000, KEYS = 500 };

struct stopping {
    struct engine_case at;
    _Atomic int64_t calls;
    int64_t stop_at, stop_again_at; /* calls; 0: never */
};

static strid_outcome count_and_stop(strid_context *ctx, const strid_record *record, void *user)
{
    struct stopping *stopping = user;
    int64_t calls = atomic_fetch_add(&stopping->calls, 1) + 1;
    if (calls == stopping->stop_at || calls == stopping->stop_again_at)
        strid_pipeline_stop(stopping->at.pipeline);
    return engine_case_count(ctx, record, &stopping->at);
}

static strid_status run(struct stopping *stopping, uint32_t workers)
{
    engine_case_create(&stopping->at, "jsonl", workers);
    engine_case_on(&stopping->at, count_and_stop, stopping);
    return engine_case_run(&stopping->at);
}

static void init(struct stopping *stopping)
{
    *stopping = (struct stopping){0};
    engine_case_init(&stopping->at);
    engine_case_append(stopping->at.input, 0, RECORDS, KEYS);
}

Test(engine_stops, stop_drains_all_handled_is_durable)
{
    for (int64_t stop_at = 1; stop_at < RECORDS; stop_at += 6000) {
        struct stopping stopping;
        init(&stopping);
        stopping.stop_at = stop_at;
        cr_assert_eq(run(&stopping, 3), STRID_OK, "%s", stopping.at.err.message);
        int64_t total = engine_case_total(&stopping.at, NULL);
        cr_assert_eq(total, stopping.calls, "what was handled is durable when the run returns");
        cr_assert_eq((uint64_t)total, engine_case_stats(&stopping.at).records);
        cr_assert_geq(total, stop_at);
        stopping.stop_at = 0;
        cr_assert_eq(run(&stopping, 2), STRID_OK, "%s", stopping.at.err.message);
        cr_assert_eq(engine_case_total(&stopping.at, NULL), RECORDS);
        cr_assert_eq(stopping.calls, RECORDS, "after a drain nothing is handled again");
        engine_case_fini(&stopping.at);
    }
}

Test(engine_stops, second_stop_cancels_and_the_next_run_completes_exactly)
{
    for (int64_t stop_at = 1; stop_at < RECORDS; stop_at += 3000) {
        struct stopping stopping;
        init(&stopping);
        stopping.stop_at = stop_at;
        stopping.stop_again_at = stop_at + 1;
        strid_status status = run(&stopping, 3);
        cr_assert(status == STRID_ECANCELLED || status == STRID_OK, "%s", stopping.at.err.message);
        stopping.stop_at = stopping.stop_again_at = 0;
        cr_assert_eq(run(&stopping, 1), STRID_OK, "%s", stopping.at.err.message);
        cr_assert_eq(engine_case_total(&stopping.at, NULL), RECORDS, "stopped at %d", (int)stop_at);
        engine_case_fini(&stopping.at);
    }
}

Test(engine_stops, stop_before_the_run_ends_it_at_once)
{
    struct stopping stopping;
    init(&stopping);
    engine_case_create(&stopping.at, "jsonl", 2);
    engine_case_on(&stopping.at, count_and_stop, &stopping);
    strid_pipeline_stop(stopping.at.pipeline);
    STRID_CHECK_OK(engine_case_run(&stopping.at), stopping.at.err);
    int64_t first = stopping.calls;
    cr_assert_lt(first, RECORDS);
    STRID_CHECK_OK(engine_case_run(&stopping.at), stopping.at.err);
    cr_assert_eq(engine_case_total(&stopping.at, NULL), RECORDS, "the stop was for one run");
    engine_case_fini(&stopping.at);
}

/* Counts in state that only the pipeline has, and keeps the highest count. */
struct in_memory {
    struct stopping stopping;
    _Atomic int64_t highest;
};

static strid_outcome count_in_memory(strid_context *ctx, const strid_record *record, void *user)
{
    struct in_memory *in_memory = user;
    int64_t count = strid_state_get_i64(ctx, in_memory->stopping.at.counts, 0) + 1;
    int64_t highest = in_memory->highest;
    while (highest < count && !atomic_compare_exchange_weak(&in_memory->highest, &highest, count))
        ;
    return count_and_stop(ctx, record, &in_memory->stopping);
}

/* The pipeline's next run goes on from it, as from a directory. */
static void check_in_memory(int64_t stop_at, int64_t stop_again_at)
{
    struct in_memory in_memory = {.highest = 0};
    struct stopping *stopping = &in_memory.stopping;
    init(stopping);
    (void)snprintf(stopping->at.state, sizeof stopping->at.state, "memory:");
    stopping->stop_at = stop_at;
    stopping->stop_again_at = stop_again_at;
    engine_case_create(&stopping->at, "jsonl", 2);
    engine_case_on(&stopping->at, count_in_memory, &in_memory);
    strid_status status = engine_case_run(&stopping->at);
    cr_assert(status == STRID_OK || status == STRID_ECANCELLED, "%s", stopping->at.err.message);
    stopping->stop_at = stopping->stop_again_at = 0;
    STRID_CHECK_OK(engine_case_run(&stopping->at), stopping->at.err);
    cr_assert_eq(in_memory.highest, RECORDS / KEYS);
    if (stop_again_at == 0)
        cr_assert_eq(stopping->calls, RECORDS, "after a drain nothing is handled again");
    STRID_CHECK_OK(engine_case_run(&stopping->at), stopping->at.err);
    cr_assert_eq(in_memory.highest, RECORDS / KEYS, "nothing came since");
    engine_case_fini(&stopping->at);
}

Test(engine_stops, state_in_memory_is_there_in_the_next_run)
{
    check_in_memory(3000, 0);
    check_in_memory(3000, 3001);
}

/* A run that is stopped at once when a letter cannot be delivered. */
struct undelivered {
    struct engine_case at;
    char told[512]; /* of what is left */
};

static void stop_at_trouble(void *user, strid_log_level level, const char *logger,
                            const char *message)
{
    struct undelivered *undelivered = user;
    (void)level;
    (void)logger;
    if (strstr(message, "the letters wait in the outbox") != NULL) {
        strid_pipeline_stop(undelivered->at.pipeline);
        strid_pipeline_stop(undelivered->at.pipeline);
    } else if (strstr(message, "dead letter ") != NULL) {
        (void)snprintf(undelivered->told, sizeof undelivered->told, "%s", message);
    }
}

static strid_outcome refuse(strid_context *ctx, const strid_record *record, void *user)
{
    (void)record;
    (void)user;
    strid_set_reason(ctx, "no good");
    return STRID_REJECT;
}

Test(engine_stops, reject_without_a_dead_letter_queue_says_what_to_do)
{
    struct engine_case at;
    engine_case_init(&at);
    (void)strncpy(at.source, "generator:?records=100", sizeof at.source - 1);
    engine_case_create(&at, "raw", 2);
    engine_case_on(&at, refuse, NULL);
    cr_assert_eq(engine_case_run(&at), STRID_ECONFIG);
    cr_assert_not_null(strstr(at.err.message, "no good"), "%s", at.err.message);
    cr_assert_not_null(strstr(at.err.message, "dlq: { url: ... }"), "%s", at.err.message);
    cr_assert_eq(engine_case_stats(&at).dead_lettered, 0);
    engine_case_fini(&at);
}

/* What is in memory is there for the host's next run, and for no other process. */
Test(engine_stops, letters_that_are_left_in_memory_are_told_and_sent_by_the_next_run)
{
    struct undelivered undelivered = {.told = ""};
    struct engine_case *at = &undelivered.at;
    char queue[SUPPORT_PATH_MAX];
    engine_case_init(at);
    engine_case_append(at->input, 0, 1, 1);
    support_path(&at->directory, "input.dlq", queue);
    cr_assert_eq(mkdir(queue, 0700), 0); /* so that it cannot be written to */
    at->pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "undelivered",
                                  .source = at->source, .state = "memory:", .format = "jsonl",
                                  .workers = 1, .memory_bytes = 64u << 20, .log = stop_at_trouble,
                                  .log_user = &undelivered},
        &at->err);
    cr_assert_not_null(at->pipeline, "%s", at->err.message);
    engine_case_on(at, refuse, NULL);
    cr_assert_eq(engine_case_run(at), STRID_ECANCELLED, "%s", at->err.message);
    cr_assert_not_null(strstr(undelivered.told, "1 dead letter not sent"), "%s", undelivered.told);
    cr_assert_not_null(strstr(undelivered.told, "in memory alone: lost with the process"), "%s",
                       undelivered.told);
    cr_assert_eq(rmdir(queue), 0);
    STRID_CHECK_OK(engine_case_run(at), at->err);
    char *letters = support_read_file(queue, NULL);
    cr_assert_not_null(letters);
    cr_assert_not_null(strstr(letters, "no good"), "%s", letters);
    free(letters);
    engine_case_fini(at);
}
