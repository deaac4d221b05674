#include <criterion/criterion.h>

#include <string.h>

#include "runtime/worker.h"
#include "runtime_case.h"

struct stuck {
    struct runtime_case *at;
    struct watchdog *watchdog;
    int64_t for_ms; /* how long a call takes */
    uint32_t looks;
};

/* The watchdog looks once a second while the handler does not come back. */
static strid_outcome hang(strid_context *ctx, const strid_record *record, void *user)
{
    struct stuck *stuck = user;
    (void)ctx;
    (void)record;
    for (int64_t ms = 0; ms <= stuck->for_ms; ms += 1000) {
        watchdog_look(stuck->watchdog);
        stuck->looks++;
        stuck->at->now_ns += 1000000000;
    }
    return STRID_DONE;
}

static void run(struct runtime_case *at, struct stuck *stuck, int records)
{
    for (int i = 0; i < records; i++)
        runtime_case_push(at, "k", "v");
    runtime_case_push_end(at);
    runtime_case_start(at);
    stuck->watchdog = watchdog_create(at->run);
    watchdog_look(stuck->watchdog);
    cr_assert(runtime_case_finish(at), "%s", at->run->error.message);
    watchdog_destroy(stuck->watchdog);
}

Test(watchdog, names_the_handler_and_the_record_once)
{
    struct runtime_case at;
    struct stuck stuck = {.at = &at, .for_ms = 100000};
    runtime_case_init(&at, hang, &stuck);
    at.definition->watchdog_ms = 30000;
    run(&at, &stuck, 1);
    cr_assert_gt(stuck.looks, 90);
    cr_assert_eq(at.store.logs, 1, "told once, not at each look");
    cr_assert_not_null(strstr(at.store.last_log, "\"the handler\""), "%s", at.store.last_log);
    cr_assert_not_null(strstr(at.store.last_log, "for 30 s"), "%s", at.store.last_log);
    cr_assert_not_null(strstr(at.store.last_log, "in partition 0 position 0-0"), "%s",
                       at.store.last_log);
    runtime_case_fini(&at);
}

Test(watchdog, tells_of_each_call_that_hangs)
{
    struct runtime_case at;
    struct stuck stuck = {.at = &at, .for_ms = 40000};
    runtime_case_init(&at, hang, &stuck);
    at.definition->watchdog_ms = 30000;
    run(&at, &stuck, 3);
    cr_assert_eq(at.store.logs, 3);
    cr_assert_not_null(strstr(at.store.last_log, "position 0-2"), "%s", at.store.last_log);
    runtime_case_fini(&at);
}

Test(watchdog, says_nothing_of_calls_that_come_back_in_time)
{
    struct runtime_case at;
    struct stuck stuck = {.at = &at, .for_ms = 20000};
    runtime_case_init(&at, hang, &stuck);
    at.definition->watchdog_ms = 30000;
    run(&at, &stuck, 20);
    cr_assert_eq(at.store.logs, 0, "%s", at.store.last_log);
    runtime_case_fini(&at);
}

Test(watchdog, zero_is_never)
{
    struct runtime_case at;
    struct stuck stuck = {.at = &at, .for_ms = 20000};
    runtime_case_init(&at, hang, &stuck);
    at.definition->watchdog_ms = 0;
    run(&at, &stuck, 2);
    cr_assert_eq(at.store.logs, 0, "%s", at.store.last_log);
    runtime_case_fini(&at);
}

Test(watchdog, first_look_at_a_call_that_has_just_begun_is_no_report)
{
    struct runtime_case at;
    struct stuck stuck = {.at = &at, .for_ms = -1};
    runtime_case_init(&at, hang, &stuck);
    at.now_ns = INT64_C(1000000000000);
    runtime_case_push_end(&at);
    runtime_case_start(&at);
    stuck.watchdog = watchdog_create(at.run);
    atomic_store(&at.run->workers[0].mark->flags,
                 CRASH_SLOT_IN_HAND); /* not yet counted as a call */
    watchdog_look(stuck.watchdog);
    cr_assert_eq(at.store.logs, 0, "%s", at.store.last_log);
    atomic_store(&at.run->workers[0].mark->flags, 0);
    watchdog_destroy(stuck.watchdog);
    runtime_case_fini(&at);
}
