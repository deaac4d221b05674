/* How long agents sleep when there is nothing to do. */
#include <criterion/criterion.h>

#include <string.h>

#include "concurrent/agent.h"
#include "runtime/reader.h"
#include "runtime/worker.h"
#include "runtime_case.h"

enum { AGENTS_MAX = 32, TURNS = 300, PAUSE_MS = 300 };

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    const struct runtime_case *at = user;
    if (strid_bytes_equal(record->key, strid_bytes_of_text("fails")))
        return STRID_RETRY;
    strid_state_put_i64(ctx, at->counts, 1);
    cr_assert_eq(strid_emit(ctx, "out", record->key, record->value), STRID_OK);
    return STRID_DONE;
}

static void turn(struct runtime_case *at, int turns)
{
    for (int i = 0; i < turns; i++)
        (void)runtime_case_turn(at);
}

/* Of all agents but readers, which ask their source. */
static int64_t shortest_sleep_ns(struct runtime_case *at)
{
    struct agent *agents[AGENTS_MAX];
    uint32_t count = run_agents(at->run, agents, AGENTS_MAX);
    int64_t shortest_ns = INT64_MAX;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(agents[i]->name, "strid-reader") != 0 && agents[i]->park_ns < shortest_ns)
            shortest_ns = agents[i]->park_ns;
    return shortest_ns;
}

Test(idle, who_only_gets_work_from_others_rests)
{
    struct runtime_case at;
    runtime_case_init(&at, handle, &at);
    runtime_case_start(&at);
    turn(&at, TURNS);
    cr_assert_eq(shortest_sleep_ns(&at), AGENT_REST_NS, "nothing ever came");
    for (int i = 0; i < 3; i++) {
        runtime_case_push(&at, "key", "value");
        turn(&at, 1);
        cr_assert_lt(shortest_sleep_ns(&at), AGENT_REST_NS, "something is under way");
        turn(&at, TURNS);
        cr_assert_eq(shortest_sleep_ns(&at), AGENT_REST_NS);
        strid_output out;
        cr_assert_eq(runtime_case_take(&at, 0, &out), STRID_OK);
    }
    runtime_case_push_end(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    runtime_case_fini(&at);
}

/* Neither long before the next attempt nor behind it. */
Test(idle, worker_sleeps_until_the_next_attempt_is_due)
{
    struct runtime_case at;
    runtime_case_init(&at, handle, &at);
    struct retry_definition *retry = &at.definition->retry;
    retry->step_count = 1;
    retry->steps_ms[0] = PAUSE_MS;
    runtime_case_start(&at);
    const struct worker *worker = &at.run->workers[0];
    runtime_case_push(&at, "fails", "value");
    for (int i = 0; i < TURNS && worker->retry.waiting.count == 0; i++)
        turn(&at, 1);
    cr_assert_eq(worker->retry.waiting.count, 1);
    turn(&at, PAUSE_MS / 2); /* its block is sealed and synced meanwhile */
    for (int i = 0; i < PAUSE_MS / 4; i++) {
        int64_t left_ms = waiting_next_ms(&worker->retry.waiting) - at.now_ns / 1000000;
        turn(&at, 1); /* looks before the clock moves */
        cr_assert_eq(worker->agent.park_ns, left_ms * 1000000, "%ld ms are left", (long)left_ms);
    }
    runtime_case_fini(&at);
}

/* Entries that age, and a run that is to end, are looked after. */
Test(idle, worker_looks_again_soon_where_nobody_tells_it)
{
    for (int i = 0; i < 3; i++) {
        struct runtime_case at;
        runtime_case_init(&at, handle, &at);
        at.definition->ttl_ms = i == 1 ? 1000 : 0;
        runtime_case_start(&at);
        if (i == 2)
            atomic_store(&at.run->stop, RUN_DRAIN);
        turn(&at, TURNS);
        cr_assert_eq(at.run->workers[0].agent.park_ns, i == 0 ? AGENT_REST_NS : WORKER_PARK_NS,
                     "%d", i);
        runtime_case_fini(&at);
    }
}
