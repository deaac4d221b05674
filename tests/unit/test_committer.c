#include <criterion/criterion.h>

#include "base/error.h"

#include "runtime_case.h"

static strid_source_ops ops; /* the memory source's, with an acknowledgement that fails */
static uint32_t failures;    /* how many more */
static uint32_t calls;
static strid_position acknowledged;
static int64_t *now_ns, last_call_ns, shortest_pause_ns;

static strid_status flaky_ack(strid_source *self, uint32_t partition, strid_position low,
                              strid_error *err)
{
    (void)self, (void)partition;
    if (calls++ > 0 && *now_ns - last_call_ns < shortest_pause_ns)
        shortest_pause_ns = *now_ns - last_call_ns;
    last_call_ns = *now_ns;
    if (failures > 0) {
        failures--;
        return error_set(err, STRID_EUNREACHABLE, "test", "the broker is away");
    }
    acknowledged = low;
    return STRID_OK;
}

static strid_outcome take(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx, (void)record, (void)user;
    return STRID_DONE;
}

static bool run_with_failures(uint32_t count)
{
    struct runtime_case at;
    runtime_case_init(&at, take, NULL);
    ops = *at.definition->source.ops;
    ops.ack = flaky_ack;
    at.definition->source.ops = &ops;
    failures = count;
    calls = 0;
    acknowledged = (strid_position){0};
    shortest_pause_ns = INT64_MAX;
    now_ns = &at.now_ns;
    runtime_case_start(&at);
    for (int i = 0; i < 10; i++)
        runtime_case_push(&at, "key", "value");
    runtime_case_push_end(&at);
    bool finished = runtime_case_finish(&at);
    runtime_case_fini(&at);
    return finished;
}

Test(committer, a_failed_acknowledgement_is_told_again_though_nothing_more_comes)
{
    cr_assert(run_with_failures(3));
    cr_assert_eq(failures, 0);
    cr_assert_eq(acknowledged.low, 10, "%llu", (unsigned long long)acknowledged.low);
    cr_assert_eq(calls, 4);
    cr_assert_geq(shortest_pause_ns, 50000000, "with pauses between");
}

Test(committer, the_end_does_not_wait_for_a_source_that_takes_none)
{
    cr_assert(run_with_failures(UINT32_MAX));
    cr_assert_geq(calls, 8);
}
