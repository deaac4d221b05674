/* What is told to a source that other nodes share: never a position before which a record waits or
 * has a dead letter on its way. */
#include <criterion/criterion.h>

#include <string.h>

#include "runtime/delivery.h"
#include "runtime/storage.h"
#include "runtime/worker.h"

#include "runtime_case.h"

enum { AGENTS_MAX = 32, PAUSE_MS = 50, TURNS_MAX = 2000 };

static struct runtime_case at;
static strid_source_ops ops; /* the memory source's, which others may share */
static strid_position acknowledged;
static bool is_shared;
static uint32_t fail_below, attempts; /* of the record "bad", counted from 0 */
static strid_outcome at_last;         /* and what becomes of it */

static strid_status note_ack(strid_source *self, uint32_t partition, strid_position low,
                             strid_error *err)
{
    (void)self, (void)partition, (void)err;
    acknowledged = low;
    return STRID_OK;
}

static bool source_is_shared(strid_source *self)
{
    (void)self;
    return is_shared;
}

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    (void)user;
    if (record->value.len != 3 || memcmp(record->value.data, "bad", 3) != 0)
        return STRID_DONE;
    attempts = strid_attempt(ctx);
    return attempts < fail_below ? STRID_RETRY : at_last;
}

static void begin(bool shared)
{
    acknowledged = (strid_position){0};
    attempts = 0;
    at_last = STRID_DONE;
    is_shared = shared;
    runtime_case_init(&at, handle, NULL);
    ops = *at.definition->source.ops;
    ops.ack = note_ack;
    ops.is_shared = source_is_shared;
    at.definition->source.ops = &ops;
    at.definition->retry.step_count = 1;
    at.definition->retry.steps_ms[0] = PAUSE_MS;
    runtime_case_start(&at);
}

static void push_three(void)
{
    runtime_case_push(&at, "a", "good");
    runtime_case_push(&at, "b", "bad");
    runtime_case_push(&at, "c", "good");
}

/* All agents move, but the dead-letter queue's delivery where it is away. */
static void turn(bool away)
{
    struct agent *agents[AGENTS_MAX];
    uint32_t count = run_agents(at.run, agents, AGENTS_MAX);
    for (uint32_t i = 0; i < count; i++)
        if (!away || agents[i] != &at.run->deliveries[1].agent)
            (void)agent_pump(agents[i]);
    at.now_ns += 1000000;
    cr_assert_not(run_failed(at.run), "%s", at.run->error.message);
}

static void end(void)
{
    runtime_case_push_end(&at);
    cr_assert(runtime_case_finish(&at));
    cr_assert_eq(acknowledged.low, 3, "%llu", (unsigned long long)acknowledged.low);
    runtime_case_fini(&at);
}

Test(settlement, a_record_that_waits_holds_the_low_position_back)
{
    fail_below = 2;
    begin(true);
    push_three();
    for (int i = 0; i < TURNS_MAX && attempts < 2; i++) {
        turn(false);
        cr_assert(attempts == 2 || acknowledged.low == 0, "told while the record waits");
    }
    cr_assert_eq(attempts, 2);
    for (int i = 0; i < TURNS_MAX && acknowledged.low == 0; i++)
        turn(false);
    cr_assert_eq(acknowledged.low, 3, "told once it is settled, though nothing more comes");
    end();
}

Test(settlement, what_was_settled_counts_once_its_block_is_synced)
{
    fail_below = 1;
    begin(true);
    push_three();
    for (int i = 0; i < TURNS_MAX && acknowledged.low == 0; i++) {
        turn(false);
        if (acknowledged.low > 0)
            cr_assert_geq(storage_synced_sequence(at.run->storage, 0),
                          atomic_load(&at.run->workers[0].retry.sequence));
    }
    end();
}

Test(settlement, a_dead_letter_on_its_way_holds_the_low_position_back)
{
    fail_below = 0;
    begin(true);
    at_last = STRID_REJECT;
    push_three();
    for (int i = 0; i < TURNS_MAX; i++) {
        turn(true);
        cr_assert_eq(acknowledged.low, 0, "told before the letter was delivered");
    }
    strid_output letter;
    for (int i = 0; i < TURNS_MAX && acknowledged.low == 0; i++)
        turn(false);
    cr_assert_eq(acknowledged.low, 3);
    cr_assert_eq(runtime_case_take(&at, 1, &letter), STRID_OK);
    end();
}

Test(settlement, a_run_that_is_stopped_does_not_wait_and_tells_nothing_false)
{
    fail_below = UINT32_MAX;
    begin(true);
    at.definition->max_attempts = UINT32_MAX;
    push_three();
    for (int i = 0; i < 3 * PAUSE_MS; i++)
        turn(false);
    atomic_store(&at.run->stop, RUN_DRAIN);
    cr_assert(runtime_case_finish(&at));
    cr_assert_eq(acknowledged.low, 0);
    runtime_case_fini(&at);
}

Test(settlement, a_source_of_ones_own_hears_at_once)
{
    fail_below = UINT32_MAX;
    begin(false);
    push_three();
    for (int i = 0; i < TURNS_MAX && acknowledged.low == 0; i++)
        turn(false);
    cr_assert_eq(acknowledged.low, 3, "what waits is durable here");
    atomic_store(&at.run->stop, RUN_DRAIN);
    cr_assert(runtime_case_finish(&at));
    runtime_case_fini(&at);
}
