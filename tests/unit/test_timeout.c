/* Handlers that exceed their time-out: the engine on one thread, whose clock the handler moves. */
#include <criterion/criterion.h>

#include <signal.h>
#include <string.h>

#include "runtime/worker.h"
#include "runtime_case.h"

struct slow {
    struct runtime_case at;
    struct watchdog *watchdog;
    int64_t call_ms;       /* how long a call takes */
    uint32_t late_calls;   /* the first so many calls take that long */
    strid_outcome outcome; /* of a call */
    uint32_t calls;
    bool told_late; /* the watchdog speaks of a call when the next one is running */
    int64_t found;  /* what the last call saw in the store */
};

static strid_outcome work(strid_context *ctx, const strid_record *record, void *user)
{
    struct slow *slow = user;
    slow->calls++;
    slow->found = strid_state_get_i64(ctx, slow->at.counts, 0);
    strid_state_put_i64(ctx, slow->at.counts, slow->found + 1);
    cr_assert_eq(strid_emit(ctx, "out", record->key, record->value), STRID_OK);
    if (slow->calls > slow->late_calls)
        return slow->outcome;
    watchdog_look(slow->watchdog);
    slow->at.now_ns += slow->call_ms * 1000000;
    watchdog_look(slow->watchdog);
    if (slow->told_late) {
        struct worker *worker = &slow->at.run->workers[0];
        atomic_store(&worker->hand.overdue, worker->call_count - 1);
    }
    return slow->outcome;
}

static void begin(struct slow *slow)
{
    runtime_case_init(&slow->at, work, slow);
    slow->at.definition->timeout_ms = 5000;
}

static strid_pipeline_stats run(struct slow *slow, int records)
{
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    for (int i = 0; i < records; i++)
        runtime_case_push(&slow->at, "k", "v");
    runtime_case_push_end(&slow->at);
    runtime_case_start(&slow->at);
    slow->watchdog = watchdog_create(slow->at.run);
    cr_assert(runtime_case_finish(&slow->at), "%s", slow->at.run->error.message);
    watchdog_destroy(slow->watchdog);
    run_add_stats(slow->at.run, &stats);
    return stats;
}

static uint32_t taken(struct slow *slow, uint32_t sink, const char *reason)
{
    strid_output out;
    uint32_t count = 0;
    while (runtime_case_take(&slow->at, sink, &out) == STRID_OK) {
        count++;
        if (reason != NULL)
            cr_assert(strid_bytes_equal(out.dead_letter->reason, strid_bytes_of_text(reason)),
                      "%.*s", (int)out.dead_letter->reason.len, out.dead_letter->reason.data);
    }
    return count;
}

Test(timeout, a_late_call_leaves_nothing_and_is_a_failed_attempt)
{
    struct slow slow = {.call_ms = 5000, .late_calls = 1, .outcome = STRID_DONE};
    begin(&slow);
    strid_pipeline_stats stats = run(&slow, 2);
    cr_assert_eq(slow.calls, 3, "the first record twice");
    cr_assert_eq(slow.found, 1, "each record counts once");
    cr_assert_eq(taken(&slow, 0, NULL), 2, "outputs of the late call are dropped");
    cr_assert(stats.timed_out == 1 && stats.retried == 1 && stats.done == 2 &&
              stats.dead_lettered == 0);
    cr_assert_eq(slow.at.store.logs, 1);
    cr_assert_not_null(strstr(slow.at.store.last_log, "\"the handler\" exceeded its timeout of "
                                                      "5000 ms"),
                       "%s", slow.at.store.last_log);
    cr_assert_not_null(strstr(slow.at.store.last_log, "in partition 0 position 0-0"), "%s",
                       slow.at.store.last_log);
    runtime_case_fini(&slow.at);
}

Test(timeout, always_late_is_dead_lettered)
{
    struct slow slow = {.call_ms = 5000, .late_calls = 3, .outcome = STRID_SKIP};
    begin(&slow);
    strid_pipeline_stats stats = run(&slow, 1);
    cr_assert(stats.timed_out == 3 && stats.retried == 2 && stats.dead_lettered == 1 &&
              stats.skipped == 0);
    cr_assert_eq(taken(&slow, 1, "attempts_exhausted: timeout"), 1);
    cr_assert_eq(taken(&slow, 0, NULL), 0);
    cr_assert_eq(slow.at.store.logs, 3, "each call is told");
    runtime_case_fini(&slow.at);
}

Test(timeout, a_rejection_stays_one)
{
    struct slow slow = {.call_ms = 5000, .late_calls = 1, .outcome = STRID_REJECT};
    begin(&slow);
    strid_pipeline_stats stats = run(&slow, 1);
    cr_assert(slow.calls == 1 && stats.timed_out == 1 && stats.dead_lettered == 1);
    cr_assert_eq(taken(&slow, 1, "rejected"), 1);
    runtime_case_fini(&slow.at);
}

Test(timeout, the_reason_is_of_the_last_attempt)
{
    struct slow slow = {.call_ms = 5000, .late_calls = 1, .outcome = STRID_RETRY};
    begin(&slow);
    cr_assert_eq(run(&slow, 1).timed_out, 1);
    cr_assert_eq(taken(&slow, 1, "attempts_exhausted"), 1);
    runtime_case_fini(&slow.at);
}

Test(timeout, calls_in_time_count)
{
    struct slow slow = {.call_ms = 4999, .late_calls = 9, .outcome = STRID_DONE};
    begin(&slow);
    strid_pipeline_stats stats = run(&slow, 9);
    cr_assert(stats.timed_out == 0 && stats.retried == 0 && stats.done == 9);
    cr_assert_eq(slow.at.store.logs, 0, "%s", slow.at.store.last_log);
    runtime_case_fini(&slow.at);
}

Test(timeout, what_is_told_after_the_call_does_not_hit_the_next)
{
    struct slow slow = {.call_ms = 1, .late_calls = 9, .outcome = STRID_DONE, .told_late = true};
    begin(&slow);
    strid_pipeline_stats stats = run(&slow, 9);
    cr_assert(stats.timed_out == 0 && stats.done == 9);
    runtime_case_fini(&slow.at);
}

Test(timeout, a_handler_may_have_its_own)
{
    struct slow slow = {.call_ms = 6000, .late_calls = 1, .outcome = STRID_DONE};
    begin(&slow);
    slow.at.definition->routes[0].timeout_ms = 0;
    cr_assert_eq(run(&slow, 1).timed_out, 0, "as long as it wants");
    runtime_case_fini(&slow.at);

    slow = (struct slow){.call_ms = 6000, .late_calls = 1, .outcome = STRID_DONE};
    begin(&slow);
    slow.at.definition->timeout_ms = 0;
    slow.at.definition->routes[0].timeout_ms = 6000;
    cr_assert_eq(run(&slow, 1).timed_out, 1);
    runtime_case_fini(&slow.at);
}

Test(timeout, abort_ends_the_process, .signal = SIGABRT)
{
    struct slow slow = {.call_ms = 5000, .late_calls = 1, .outcome = STRID_DONE};
    begin(&slow);
    slow.at.definition->on_timeout = DEFINITION_ON_TIMEOUT_ABORT;
    (void)run(&slow, 1);
}

Test(timeout, no_abort_in_time)
{
    struct slow slow = {.call_ms = 4999, .late_calls = 1, .outcome = STRID_DONE};
    begin(&slow);
    slow.at.definition->on_timeout = DEFINITION_ON_TIMEOUT_ABORT;
    cr_assert_eq(run(&slow, 1).done, 1);
    runtime_case_fini(&slow.at);
}
