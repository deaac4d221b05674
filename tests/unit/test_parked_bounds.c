/* How much may wait, beside what test_worker_retry.c tells: partitions that are held together, and
 * when reading goes on. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/worker.h"
#include "runtime_case.h"

enum { BOUND = 8, MANY = 40, PAUSE_MS = 50 };

static struct runtime_case at;
static bool fails;

/* Values say how often a record fails: once for a 1, twenty times for a 2. */
static strid_outcome fail_some(strid_context *ctx, const strid_record *record, void *user)
{
    (void)user;
    uint32_t most = record->value.data[0] == '1' ? 1 : record->value.data[0] == '2' ? 20 : 0;
    return fails && strid_attempt(ctx) < most ? STRID_RETRY : STRID_DONE;
}

static void setup(void)
{
    fails = true;
    runtime_case_init_from(&at, "memory:in?partitions=2", fail_some, NULL);
    at.options.chunk_records = 1; /* so that little is under way when the bound is met */
    at.definition->max_attempts = 30;
    at.definition->retry.max_parked = BOUND;
    at.definition->retry.step_count = 1;
    at.definition->retry.steps_ms[0] = PAUSE_MS;
    runtime_case_start(&at);
}

static void teardown(void) { runtime_case_fini(&at); }

TestSuite(parked_bounds, .init = setup, .fini = teardown);

static void push(uint32_t partition, const char *key, const char *value)
{
    cr_assert_eq(at.definition->source.ops->push(at.source, partition, strid_bytes_of_text(key),
                                                 strid_bytes_of_text(value), 0),
                 STRID_OK);
}

/* Records with keys of their own. */
static void push_many(int count, const char *value)
{
    static int number;
    for (int i = 0; i < count; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", number++);
        push(0, key, value);
    }
}

static strid_pipeline_stats after(int turns)
{
    strid_pipeline_stats stats = {0};
    for (int i = 0; i < turns; i++)
        (void)runtime_case_turn(&at);
    cr_assert_not(run_failed(at.run), "%s", at.run->error.message);
    run_add_stats(at.run, &stats);
    return stats;
}

/* The key is in both partitions, and waits for a record of the first one. */
Test(parked_bounds, a_partition_is_held_whose_records_are_parked_for_another)
{
    push(0, "a", "2");
    cr_assert_eq(after(5).waiting, 1);
    for (int i = 0; i < MANY; i++)
        push(1, "a", "0");
    strid_pipeline_stats stats = after(PAUSE_MS / 2);
    cr_assert(stats.waiting == 1 && stats.parked >= BOUND - 1 && stats.parked < 2 * BOUND, "%llu",
              (unsigned long long)stats.parked);
    fails = false;
    stats = after(4 * PAUSE_MS);
    cr_assert(stats.done == MANY + 1 && stats.parked == 0, "%llu are done",
              (unsigned long long)stats.done);
}

/* What the table of waiting keys frees stays with the allocator: the cache must not grow into it.
 */
Test(parked_bounds, memory_of_the_table_is_not_given_back_to_the_cache)
{
    at.definition->retry.max_parked = UINT64_MAX;
    at.definition->retry.steps_ms[0] = 10 * PAUSE_MS;
    runtime_case_start(&at);
    const struct cache *cache = &at.run->workers[0].cache;
    uint64_t before = cache->bytes_max;
    push_many(100 * MANY, "1");
    uint64_t waiting = 0, taken = 0;
    for (int i = 0; i < 100 * MANY && waiting < 100; i++)
        waiting = after(1).waiting;
    cr_assert_geq(waiting, 100);
    cr_assert_lt(cache->bytes_max, before);
    for (int i = 0; i < 200 * MANY && after(1).done < 100 * MANY; i++) {
        cr_assert_leq(taken, before - cache->bytes_max);
        taken = before - cache->bytes_max;
    }
    strid_pipeline_stats stats = after(1);
    cr_assert(stats.done == 100 * MANY && stats.waiting == 0);
    cr_assert_eq(before - cache->bytes_max, taken);
}

Test(parked_bounds, reading_goes_on_when_a_quarter_is_settled)
{
    push_many(BOUND / 2, "2");
    push_many(BOUND / 2, "1");
    push_many(MANY, "0");
    strid_pipeline_stats stats = after(PAUSE_MS / 2);
    cr_assert_geq(stats.waiting, BOUND);
    cr_assert_lt(stats.records, MANY);
    stats = after(2 * PAUSE_MS);
    cr_assert(stats.waiting == BOUND / 2 && stats.done == BOUND / 2 + MANY, "%llu are done",
              (unsigned long long)stats.done);
}
