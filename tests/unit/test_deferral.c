/* Deferred outcomes on one thread, which is the worker and the host's in turn. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "api/pipeline.h"
#include "runtime/deferral.h"
#include "runtime/worker.h"
#include "runtime_case.h"

enum { CALLS_MAX = 4000 };

struct deferral_case {
    struct runtime_case at;
    struct strid_completer *completer;
    strid_token tokens[CALLS_MAX]; /* by call */
    char keys[CALLS_MAX][8];
    int64_t found[CALLS_MAX]; /* in the store, by call */
    uint32_t attempts[CALLS_MAX];
    uint32_t calls;
    bool defers; /* else the handler is done at once */
    bool completes;
    const char *reason; /* that the handler gives; NULL: none */
    bool says;          /* it returns STRID_DEFERRED without strid_defer() */
    strid_outcome returns;
};

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    struct deferral_case *deferral = user;
    uint32_t call = deferral->calls++;
    cr_assert_lt(call, CALLS_MAX);
    memcpy(deferral->keys[call], record->key.data, record->key.len);
    deferral->attempts[call] = strid_attempt(ctx);
    deferral->found[call] = strid_state_get_i64(ctx, deferral->at.counts, 0);
    strid_state_put_i64(ctx, deferral->at.counts, deferral->found[call] + 1);
    cr_assert_eq(strid_emit(ctx, "out", record->key, record->value), STRID_OK);
    if (deferral->reason != NULL)
        strid_set_reason(ctx, deferral->reason);
    if (deferral->says)
        return STRID_DEFERRED;
    if (!deferral->defers)
        return STRID_DONE;
    deferral->tokens[call] = strid_defer(ctx);
    strid_token again = strid_defer(ctx);
    cr_assert_eq(memcmp(&again, &deferral->tokens[call], sizeof again), 0);
    if (deferral->completes)
        cr_assert_eq(deferral_complete(deferral->completer, again, STRID_DONE), STRID_OK);
    return deferral->returns;
}

static void init(struct deferral_case *deferral)
{
    memset(deferral, 0, sizeof *deferral);
    deferral->defers = true;
    deferral->returns = STRID_DEFERRED;
    runtime_case_init(&deferral->at, handle, deferral);
    deferral->at.definition->retry.min_ms = deferral->at.definition->retry.max_ms = 10;
    deferral->at.options.deferrals = deferral_create();
    deferral->completer = deferral_take_completer(deferral->at.options.deferrals);
}

static void fini(struct deferral_case *deferral)
{
    struct deferrals *deferrals = deferral->at.options.deferrals;
    runtime_case_fini(&deferral->at);
    deferral_destroy(deferrals);
}

static void turns(struct deferral_case *deferral, int count)
{
    for (int i = 0; i < count; i++)
        (void)runtime_case_turn(&deferral->at);
    cr_assert_not(run_failed(deferral->at.run), "%s", deferral->at.run->error.message);
}

static strid_status complete(struct deferral_case *deferral, uint32_t call, strid_outcome outcome)
{
    return deferral_complete(deferral->completer, deferral->tokens[call], outcome);
}

static strid_pipeline_stats stats_of(struct deferral_case *deferral)
{
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    run_add_stats(deferral->at.run, &stats);
    return stats;
}

static uint32_t outputs(struct deferral_case *deferral, uint32_t sink, const char *reason)
{
    strid_output out;
    uint32_t count = 0;
    for (; runtime_case_take(&deferral->at, sink, &out) == STRID_OK; count++)
        if (reason != NULL)
            cr_assert(strid_bytes_equal(out.dead_letter->reason, strid_bytes_of_text(reason)),
                      "%.*s", (int)out.dead_letter->reason.len, out.dead_letter->reason.data);
    return count;
}

Test(deferral, takes_effect_when_it_is_completed_and_others_run_on)
{
    struct deferral_case deferral;
    init(&deferral);
    runtime_case_push(&deferral.at, "a", "1");
    runtime_case_push(&deferral.at, "b", "1");
    runtime_case_push(&deferral.at, "a", "2");
    runtime_case_push_end(&deferral.at);
    runtime_case_start(&deferral.at);
    turns(&deferral, 1000);
    cr_assert_eq(deferral.calls, 2, "the second record of a waits");
    cr_assert_str_eq(deferral.keys[1], "b");
    cr_assert_eq(outputs(&deferral, 0, NULL), 0);
    cr_assert_not(deferral.at.run->finished);
    cr_assert_eq(complete(&deferral, 0, STRID_DONE), STRID_OK);
    turns(&deferral, 1000);
    cr_assert_eq(deferral.calls, 3);
    cr_assert_str_eq(deferral.keys[2], "a");
    cr_assert_eq(deferral.found[2], 1, "it sees what the first one did");
    cr_assert_eq(outputs(&deferral, 0, NULL), 1);
    cr_assert_eq(complete(&deferral, 2, STRID_DONE), STRID_OK);
    cr_assert_eq(complete(&deferral, 1, STRID_SKIP), STRID_OK);
    cr_assert(runtime_case_finish(&deferral.at));
    cr_assert_eq(outputs(&deferral, 0, NULL), 1);
    strid_pipeline_stats stats = stats_of(&deferral);
    cr_assert(stats.records == 3 && stats.done == 2 && stats.skipped == 1 && stats.outputs == 2);
    fini(&deferral);
}

Test(deferral, may_be_completed_before_the_handler_returns)
{
    struct deferral_case deferral;
    init(&deferral);
    deferral.completes = true;
    for (int i = 0; i < 500; i++)
        runtime_case_push(&deferral.at, i % 2 == 0 ? "a" : "b", "1");
    runtime_case_push_end(&deferral.at);
    runtime_case_start(&deferral.at);
    cr_assert(runtime_case_finish(&deferral.at), "%s", deferral.at.run->error.message);
    cr_assert_eq(deferral.calls, 500);
    cr_assert_eq(deferral.found[499], 249);
    cr_assert_eq(stats_of(&deferral).done, 500);
    cr_assert_eq(outputs(&deferral, 0, NULL), 500);
    fini(&deferral);
}

static strid_outcome defer_and_stop(strid_context *ctx, const strid_record *record, void *user)
{
    (void)record;
    (void)strid_defer(ctx);
    strid_pipeline **pipeline = user;
    if (*pipeline != NULL)
        strid_pipeline_stop(*pipeline);
    *pipeline = NULL; /* a second stop would end the run at once */
    return STRID_DEFERRED;
}

Test(deferral, a_drain_that_waited_in_vain_says_for_what, .timeout = 20)
{
    strid_error err = STRID_ERROR_INIT;
    strid_pipeline_options options = {STRID_PIPELINE_OPTIONS_INIT, .name = "late", .workers = 1,
                                      .source = "generator:?records=1", .format = "raw"};
    strid_pipeline *pipeline = strid_pipeline_create(&options, &err), *to_stop = pipeline;
    cr_assert_not_null(pipeline, "%s", err.message);
    pipeline->definition->drain_timeout_ms = 20;
    cr_assert_eq(strid_pipeline_on(pipeline, "*", defer_and_stop, &to_stop, &err), STRID_OK);
    cr_assert_eq(strid_pipeline_run(pipeline, &err), STRID_ECANCELLED);
    cr_assert_not_null(strstr(err.message, "drain_timeout while the outcome of 1 record was "
                                           "deferred and never said"),
                       "%s", err.message);
    strid_pipeline_destroy(pipeline);
}

/* A handler that completes its own token and then returns something else leaves places to look at,
 * and its worker does not look while nothing is open. */
Test(deferral, completions_that_are_withdrawn_fill_no_ring, .timeout = 20)
{
    struct deferrals *deferrals = deferral_create();
    struct strid_completer *completer = deferral_take_completer(deferrals);
    strid_outcome outcome = STRID_DONE;
    for (int i = 0; i < 100000; i++) {
        strid_token token = deferral_open(deferrals, 0, (uint32_t)i % DEFERRAL_PLACES);
        cr_assert_eq(deferral_complete(completer, token, STRID_DONE), STRID_OK);
        cr_assert(deferral_end(deferrals, 0, token.place, false));
    }
    strid_token token = deferral_open(deferrals, 0, 7); /* which stands in the ring already */
    cr_assert_eq(deferral_complete(completer, token, STRID_SKIP), STRID_OK);
    uint32_t seen = 0, completed = 0;
    for (uint32_t place; (place = deferral_next(deferrals, 0)) != UINT32_MAX; seen++)
        if (deferral_outcome(deferrals, 0, place, &outcome))
            completed += place == 7 && outcome == STRID_SKIP ? 1 : 2;
    cr_assert(seen == DEFERRAL_PLACES && completed == 1, "%u %u", seen, completed);
    (void)deferral_end(deferrals, 0, 7, false);
    token = deferral_open(deferrals, 0, 7); /* which was taken out of the ring */
    cr_assert_eq(deferral_complete(completer, token, STRID_SKIP), STRID_OK);
    cr_assert_eq(deferral_next(deferrals, 0), 7);
    deferral_destroy(deferrals);
}

Test(deferral, retry_is_a_failed_attempt_and_the_last_one_a_dead_letter)
{
    struct deferral_case deferral;
    init(&deferral);
    runtime_case_push(&deferral.at, "a", "1");
    runtime_case_push_end(&deferral.at);
    runtime_case_start(&deferral.at);
    for (uint32_t call = 0; call < 3; call++) {
        turns(&deferral, 200);
        cr_assert_eq(deferral.calls, call + 1);
        cr_assert_eq(deferral.attempts[call], call);
        cr_assert_eq(deferral.found[call], 0, "what was done is dropped");
        cr_assert_eq(complete(&deferral, call, STRID_RETRY), STRID_OK);
    }
    cr_assert(runtime_case_finish(&deferral.at));
    cr_assert_eq(outputs(&deferral, 1, "attempts_exhausted"), 1);
    cr_assert_eq(outputs(&deferral, 0, NULL), 0);
    fini(&deferral);
}

Test(deferral, reject_is_a_dead_letter)
{
    struct deferral_case deferral;
    init(&deferral);
    runtime_case_push(&deferral.at, "a", "1");
    runtime_case_push_end(&deferral.at);
    runtime_case_start(&deferral.at);
    turns(&deferral, 10);
    cr_assert_eq(complete(&deferral, 0, STRID_REJECT), STRID_OK);
    cr_assert(runtime_case_finish(&deferral.at));
    cr_assert_eq(outputs(&deferral, 1, "rejected"), 1);
    fini(&deferral);
}

Test(deferral, the_reason_that_its_handler_gave_is_in_its_dead_letter)
{
    struct deferral_case deferral;
    init(&deferral);
    deferral.reason = "no such account";
    runtime_case_push(&deferral.at, "a", "1");
    runtime_case_push(&deferral.at, "b", "1");
    runtime_case_push_end(&deferral.at);
    runtime_case_start(&deferral.at);
    turns(&deferral, 10);
    cr_assert_eq(deferral.calls, 2);
    deferral.reason = NULL; /* what another record said is not its own */
    cr_assert_eq(complete(&deferral, 1, STRID_RETRY), STRID_OK);
    turns(&deferral, 100);
    cr_assert_eq(deferral.calls, 3);
    cr_assert_eq(complete(&deferral, 0, STRID_REJECT), STRID_OK);
    turns(&deferral, 100);
    cr_assert_eq(outputs(&deferral, 1, "rejected: no such account"), 1);
    cr_assert_eq(complete(&deferral, 2, STRID_REJECT), STRID_OK);
    cr_assert(runtime_case_finish(&deferral.at));
    cr_assert_eq(outputs(&deferral, 1, "rejected"), 1);
    fini(&deferral);
}

Test(deferral, a_second_and_a_late_completion_are_told)
{
    struct deferral_case deferral;
    init(&deferral);
    runtime_case_push(&deferral.at, "a", "1");
    runtime_case_push(&deferral.at, "b", "1");
    runtime_case_push_end(&deferral.at);
    runtime_case_start(&deferral.at);
    turns(&deferral, 10);
    cr_assert_eq(complete(&deferral, 0, STRID_DONE), STRID_OK);
    cr_assert_eq(complete(&deferral, 0, STRID_SKIP), STRID_ESTALE, "before it is settled");
    turns(&deferral, 10);
    cr_assert_eq(complete(&deferral, 0, STRID_DONE), STRID_ESTALE, "and after");
    cr_assert_eq(complete(&deferral, 1, STRID_DEFERRED), STRID_EINVAL);
    cr_assert_eq(complete(&deferral, 1, (strid_outcome)77), STRID_EINVAL);
    strid_token none = {.worker = 0};
    cr_assert_eq(deferral_complete(deferral.completer, none, STRID_DONE), STRID_ESTALE);
    none.worker = 200;
    cr_assert_eq(deferral_complete(deferral.completer, none, STRID_DONE), STRID_EINVAL);
    none = (strid_token){.place = DEFERRAL_PLACES};
    cr_assert_eq(deferral_complete(deferral.completer, none, STRID_DONE), STRID_EINVAL);
    run_destroy(deferral.at.run);
    deferral.at.run = NULL;
    cr_assert_eq(complete(&deferral, 1, STRID_DONE), STRID_ESTALE, "its run has ended");
    fini(&deferral);
}

Test(deferral, another_outcome_withdraws_the_token)
{
    for (int completed = 0; completed < 2; completed++) {
        struct deferral_case deferral;
        init(&deferral);
        deferral.returns = STRID_SKIP;
        deferral.completes = completed == 1; /* in vain, then */
        for (int i = 0; i < 300; i++)
            runtime_case_push(&deferral.at, "a", "1");
        runtime_case_push_end(&deferral.at);
        runtime_case_start(&deferral.at);
        cr_assert(runtime_case_finish(&deferral.at));
        cr_assert_eq(deferral.calls, 300);
        cr_assert_eq(stats_of(&deferral).skipped, 300);
        for (uint32_t i = 0; i < 300; i++)
            cr_assert_eq(complete(&deferral, i, STRID_DONE), STRID_ESTALE);
        fini(&deferral);
    }
}

Test(deferral, without_a_token_it_is_no_outcome)
{
    struct deferral_case deferral;
    init(&deferral);
    deferral.says = true;
    runtime_case_push(&deferral.at, "a", "1");
    runtime_case_push_end(&deferral.at);
    runtime_case_start(&deferral.at);
    cr_assert(runtime_case_finish(&deferral.at));
    cr_assert_eq(outputs(&deferral, 1, "rejected: deferred without strid_defer()"), 1);
    fini(&deferral);
}

Test(deferral, that_takes_too_long_is_a_failed_attempt)
{
    struct deferral_case deferral;
    init(&deferral);
    deferral.at.definition->timeout_ms = 100;
    runtime_case_push(&deferral.at, "a", "1");
    runtime_case_push_end(&deferral.at);
    runtime_case_start(&deferral.at);
    turns(&deferral, 99);
    cr_assert_eq(deferral.calls, 1);
    turns(&deferral, 60);
    cr_assert_eq(deferral.calls, 2);
    cr_assert_eq(deferral.attempts[1], 1);
    cr_assert_eq(stats_of(&deferral).timed_out, 1);
    cr_assert_eq(complete(&deferral, 0, STRID_DONE), STRID_ESTALE);
    cr_assert_eq(complete(&deferral, 1, STRID_DONE), STRID_OK);
    cr_assert(runtime_case_finish(&deferral.at));
    cr_assert_eq(deferral.found[1], 0);
    fini(&deferral);
}

static strid_outcome second(strid_context *ctx, const strid_record *record, void *user)
{
    struct deferral_case *deferral = user;
    (void)record;
    strid_state_put_i64(ctx, deferral->at.counts, 100);
    return (strid_outcome)deferral->at.definition->watchdog_ms; /* what the test put there */
}

Test(deferral, it_is_the_time_out_of_the_handler_that_deferred)
{
    for (int own = 0; own < 2; own++) {
        struct deferral_case deferral;
        strid_error err = STRID_ERROR_INIT;
        init(&deferral);
        cr_assert_eq(definition_add_route(deferral.at.definition, "*", "second", second, &deferral,
                                          NULL, &err),
                     STRID_OK);
        deferral.at.definition->watchdog_ms = STRID_DONE;
        deferral.at.definition->routes[0].timeout_ms = own == 1 ? 100 : 0;
        deferral.at.definition->routes[1].timeout_ms = own == 1 ? 0 : 100;
        runtime_case_push(&deferral.at, "a", "1");
        runtime_case_push_end(&deferral.at);
        runtime_case_start(&deferral.at);
        turns(&deferral, 90);
        cr_assert_eq(stats_of(&deferral).timed_out, 0);
        turns(&deferral, 100);
        cr_assert_eq(stats_of(&deferral).timed_out, (uint64_t)own);
        cr_assert_eq(complete(&deferral, (uint32_t)own, STRID_DONE), STRID_OK);
        cr_assert(runtime_case_finish(&deferral.at));
        cr_assert_eq(deferral.calls, (uint32_t)own + 1);
        fini(&deferral);
    }
}

Test(deferral, the_other_handlers_have_their_say)
{
    const struct {
        strid_outcome says, completion, counts;
    } cases[] = {{STRID_DONE, STRID_DONE, STRID_DONE},
                 {STRID_SKIP, STRID_DONE, STRID_SKIP},
                 {STRID_SKIP, STRID_REJECT, STRID_REJECT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct deferral_case deferral;
        strid_error err = STRID_ERROR_INIT;
        init(&deferral);
        cr_assert_eq(definition_add_route(deferral.at.definition, "*", "second", second, &deferral,
                                          NULL, &err),
                     STRID_OK);
        deferral.at.definition->watchdog_ms = cases[i].says;
        runtime_case_push(&deferral.at, "a", "1");
        runtime_case_push_end(&deferral.at);
        runtime_case_start(&deferral.at);
        turns(&deferral, 10);
        cr_assert_eq(complete(&deferral, 0, cases[i].completion), STRID_OK);
        cr_assert(runtime_case_finish(&deferral.at));
        strid_pipeline_stats stats = stats_of(&deferral);
        cr_assert_eq(stats.done, cases[i].counts == STRID_DONE);
        cr_assert_eq(stats.skipped, cases[i].counts == STRID_SKIP);
        cr_assert_eq(stats.dead_lettered, cases[i].counts == STRID_REJECT);
        fini(&deferral);
    }
}

Test(deferral, open_ones_are_handled_again_after_a_restart_with_the_attempts_they_had)
{
    struct deferral_case deferral;
    init(&deferral);
    runtime_case_push(&deferral.at, "a", "1");
    runtime_case_push(&deferral.at, "b", "1");
    runtime_case_push(&deferral.at, "a", "2");
    runtime_case_push_end(&deferral.at);
    runtime_case_start(&deferral.at);
    turns(&deferral, 10);
    cr_assert_eq(complete(&deferral, 0, STRID_RETRY), STRID_OK);
    turns(&deferral, 1000); /* long enough for blocks and the low position */
    cr_assert_eq(deferral.calls, 3);
    cr_assert_eq(deferral.attempts[2], 1);
    runtime_case_start(&deferral.at);
    cr_assert_eq(complete(&deferral, 1, STRID_DONE), STRID_ESTALE);
    deferral.defers = false;
    cr_assert(runtime_case_finish(&deferral.at), "%s", deferral.at.run->error.message);
    cr_assert_eq(deferral.calls, 6);
    bool second_a = false;
    for (uint32_t call = 3; call < 6; call++) {
        if (strcmp(deferral.keys[call], "b") == 0) {
            cr_assert_eq(deferral.attempts[call], 0);
            continue;
        }
        cr_assert_eq(deferral.attempts[call], second_a ? 0 : 1);
        cr_assert_eq(deferral.found[call], second_a ? 1 : 0);
        second_a = true;
    }
    cr_assert_eq(outputs(&deferral, 0, NULL), 3);
    fini(&deferral);
}

Test(deferral, with_too_many_open_no_record_is_taken)
{
    struct deferral_case deferral;
    init(&deferral);
    for (int i = 0; i < 3000; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%d", i);
        runtime_case_push(&deferral.at, key, "1");
    }
    runtime_case_push_end(&deferral.at);
    runtime_case_start(&deferral.at);
    turns(&deferral, 2000);
    cr_assert_geq(deferral.calls, DEFERRAL_OPEN_MAX);
    cr_assert_lt(deferral.calls, DEFERRAL_OPEN_MAX + CHUNK_RECORDS_MAX + WORKER_RETRY_RECORDS);
    for (uint32_t done = 0; done < deferral.calls;) {
        for (; done < deferral.calls; done++)
            cr_assert_eq(complete(&deferral, done, STRID_DONE), STRID_OK);
        turns(&deferral, 100);
    }
    cr_assert(runtime_case_finish(&deferral.at));
    cr_assert_eq(stats_of(&deferral).done, 3000);
    fini(&deferral);
}

Test(deferral, a_drain_waits_for_it)
{
    struct deferral_case deferral;
    init(&deferral);
    runtime_case_push(&deferral.at, "a", "1");
    runtime_case_push(&deferral.at, "a", "2");
    runtime_case_start(&deferral.at);
    turns(&deferral, 10);
    atomic_store(&deferral.at.run->stop, RUN_DRAIN);
    turns(&deferral, 1000);
    cr_assert_not(deferral.at.run->finished);
    cr_assert_eq(complete(&deferral, 0, STRID_DONE), STRID_OK);
    cr_assert(runtime_case_finish(&deferral.at));
    cr_assert_eq(deferral.calls, 1, "what is parked is the next run's");
    deferral.defers = false;
    runtime_case_push_end(&deferral.at);
    runtime_case_start(&deferral.at);
    cr_assert(runtime_case_finish(&deferral.at));
    cr_assert_eq(deferral.found[1], 1);
    fini(&deferral);
}

Test(deferral, completers_are_counted_and_come_back)
{
    struct deferrals *deferrals = deferral_create();
    struct strid_completer *last = NULL;
    for (int i = 0; i < DEFERRAL_COMPLETERS; i++) {
        struct strid_completer *completer = deferral_take_completer(deferrals);
        cr_assert_not_null(completer);
        cr_assert_neq(completer, last);
        last = completer;
    }
    cr_assert_null(deferral_take_completer(deferrals));
    deferral_give_completer(last);
    cr_assert_eq(deferral_take_completer(deferrals), last);
    deferral_destroy(deferrals);
}
