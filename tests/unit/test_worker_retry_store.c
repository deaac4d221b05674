#include <criterion/criterion.h>

#include "runtime/materialiser.h"
#include "runtime/worker_retry.h"

#include "runtime_case.h"

/* A count per key; the first `failures` attempts fail. */
struct script {
    struct runtime_case at;
    uint32_t failures, calls;
};

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    struct script *script = user;
    (void)record;
    script->calls++;
    strid_state_put_i64(ctx, script->at.counts, strid_state_get_i64(ctx, script->at.counts, 0) + 1);
    if (script->failures == 0)
        return STRID_DONE;
    script->failures--;
    return STRID_RETRY;
}

static void begin(struct script *script, int64_t wait_ms)
{
    runtime_case_init(&script->at, handle, script);
    script->at.definition->retry.step_count = 1;
    script->at.definition->retry.steps_ms[0] = wait_ms;
    runtime_case_start(&script->at);
}

static void turn(struct script *script, int turns)
{
    for (int i = 0; i < turns; i++)
        (void)runtime_case_turn(&script->at);
    cr_assert_not(run_failed(script->at.run), "%s", script->at.run->error.message);
}

static void push(struct script *script, const char *key, const char *value)
{
    runtime_case_push(&script->at, key, value);
}

static strid_pipeline_stats stats_of(struct script *script)
{
    strid_pipeline_stats stats = {0};
    run_add_stats(script->at.run, &stats);
    return stats;
}

static void finish(struct script *script)
{
    runtime_case_push_end(&script->at);
    cr_assert(runtime_case_finish(&script->at), "%s", script->at.run->error.message);
    cr_assert_eq(stats_of(script).waiting, 0);
    runtime_case_fini(&script->at);
}

/* Until it is sealed it is in memory alone: no more of it than a block takes. */
Test(worker_retry_store, what_waits_counts_for_the_open_block)
{
    enum { RECORDS = 40, VALUE = 10000, BLOCK = 64 << 10 };
    struct script script = {.failures = RECORDS};
    char value[VALUE + 1];
    uint64_t most = 0;
    memset(value, '1', VALUE);
    value[VALUE] = '\0';
    begin(&script, 1000);
    script.at.options.block_bytes = BLOCK;
    script.at.options.seal_interval_ns = INT64_MAX / 2;
    runtime_case_start(&script.at);
    for (char key[] = "A"; key[0] < 'A' + RECORDS; key[0]++)
        push(&script, key, value);
    for (int i = 0; i < 50; i++) {
        turn(&script, 1);
        const struct worker_retry *retry = &script.at.run->workers[0].retry;
        most = retry->changes.bytes > most ? retry->changes.bytes : most;
    }
    cr_assert_eq(stats_of(&script).waiting, RECORDS);
    cr_assert(most > BLOCK / 2 && most < BLOCK / 8 * 9 + 2 * VALUE, "%llu",
              (unsigned long long)most);
    cr_assert_geq(stats_of(&script).blocks, RECORDS * VALUE / (BLOCK / 8 * 9 + 2 * VALUE));
    cr_assert_eq(script.at.run->workers[0].retry.changes.bytes, 0, "sealed");
    runtime_case_start(&script.at);
    turn(&script, 1100);
    cr_assert_eq(stats_of(&script).done, RECORDS, "they are in the blocks");
    finish(&script);
}

/* The first record of a key and its head are in a block, those behind it not yet. */
Test(worker_retry_store, a_key_may_wait_in_blocks_and_beside_them)
{
    struct script script = {.failures = 1};
    begin(&script, 50);
    push(&script, "a", "1");
    turn(&script, 30);
    const struct worker_retry *retry = &script.at.run->workers[0].retry;
    cr_assert(retry->changes.count == 0 && retry->waiting.heap[0]->stored);
    script.at.options.seal_interval_ns = INT64_MAX / 2;
    push(&script, "a", "2");
    push(&script, "a", "3");
    turn(&script, 1);
    cr_assert_eq(retry->changes.entries, 3, "two records and the head");
    turn(&script, 100);
    cr_assert_eq(script.calls, 4);
    cr_assert_eq(stats_of(&script).done, 3);
    runtime_case_start(&script.at);
    turn(&script, 10);
    cr_assert_eq(stats_of(&script).waiting, 0);
    cr_assert_eq(script.calls, 4);
    finish(&script);
}

Test(worker_retry_store, what_was_settled_leaves_the_cache)
{
    struct script script = {.failures = 1};
    begin(&script, 50);
    const struct worker *worker = &script.at.run->workers[0];
    turn(&script, 1);
    size_t before = worker->cache.entry_count;
    push(&script, "a", "1");
    push(&script, "a", "2");
    turn(&script, 30);
    cr_assert_geq(worker->cache.entry_count, before + 3, "two records and their head");
    turn(&script, 60); /* deleted, sealed */
    cr_assert_eq(script.calls, 3);
    materialiser_hurry(script.at.run->materialiser);
    turn(&script, 30);
    cr_assert_leq(worker->cache.entry_count, before + 2, "the count of a, and a mark");
    cr_assert_eq(worker->cache.subs.bytes, 0);
    finish(&script);
}
