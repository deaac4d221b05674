/* Blocks and their outputs on one thread: which comes first, who waits for whom, and chunks that
 * came too late. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "runtime/worker.h"
#include "runtime_case.h"

enum { AGENTS_MAX = 32, TURNS = 400 };

static struct runtime_case at;
static int64_t calls;

static strid_outcome emit(strid_context *ctx, const strid_record *record, void *user)
{
    (void)user;
    calls++;
    strid_state_put_i64(ctx, at.counts, strid_state_get_i64(ctx, at.counts, 0) + 1);
    cr_assert_eq(strid_emit(ctx, "out", record->key, record->value), STRID_OK);
    return STRID_DONE;
}

static void setup(void)
{
    runtime_case_init(&at, emit, NULL);
    runtime_case_start(&at);
}
static void teardown(void) { runtime_case_fini(&at); }

TestSuite(delivery, .init = setup, .fini = teardown);

/* A millisecond in which all agents move but those called `without` (or only those called `only`).
 */
static void turn(const char *without, const char *only)
{
    struct agent *agents[AGENTS_MAX];
    uint32_t count = run_agents(at.run, agents, AGENTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (without != NULL && strcmp(agents[i]->name, without) == 0)
            continue;
        if (only != NULL && strncmp(agents[i]->name, only, strlen(only)) != 0)
            continue;
        (void)agent_pump(agents[i]);
    }
    at.now_ns += 1000000;
}

static void turns(const char *without)
{
    for (int i = 0; i < TURNS; i++)
        turn(without, NULL);
}

static void push(int number)
{
    char value[16];
    (void)snprintf(value, sizeof value, "%d", number);
    runtime_case_push(&at, "key", value);
}

static size_t blocks(void) { return directory_case_count("b", "c"); }

static int arrived(void)
{
    int count = 0;
    strid_output out;
    while (runtime_case_take(&at, 0, &out) == STRID_OK) {
        char value[16];
        (void)snprintf(value, sizeof value, "%d", count++);
        cr_assert(strid_bytes_equal(out.value, strid_bytes_of_text(value)));
    }
    return count;
}

Test(delivery, block_is_written_behind_its_outputs_while_the_worker_goes_on)
{
    push(0);
    turns("strid-delivery");
    cr_assert_eq(calls, 1);
    cr_assert_eq(blocks(), 0, "written before its outputs were delivered");
    push(1);
    turns("strid-delivery");
    cr_assert_eq(calls, 2, "the worker waits for a delivery");
    cr_assert_eq(blocks(), 0);
    cr_assert_eq(arrived(), 0);
    runtime_case_push_end(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_eq(arrived(), 2);
    cr_assert_eq(atomic_load(&at.run->workers[0].counters.outputs), 2);
}

Test(delivery, worker_waits_when_all_its_blocks_are_on_their_way)
{
    for (int i = 0; i < 10; i++) {
        push(i);
        turns("strid-delivery");
    }
    cr_assert_eq(calls, WORKER_BLOCKS);
    cr_assert_eq(blocks(), 0);
    runtime_case_push_end(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_eq(calls, 10);
    cr_assert_eq(arrived(), 10);
}

/* What was read before its partition got a new epoch is applied nowhere and acknowledged never. */
Test(delivery, chunk_of_an_older_epoch_is_dropped)
{
    push(0);
    turns(NULL);
    cr_assert_eq(calls, 1);
    int64_t low = (int64_t)at.run->partitions[0].stored->low.low;
    push(1);
    for (int i = 0; i < TURNS; i++)
        turn(NULL, "strid-reader");
    atomic_fetch_add(&at.run->partitions[0].epoch, 1);
    turns(NULL);
    cr_assert_eq(calls, 1, "a chunk of an older epoch was handled");
    push(2);
    turns(NULL);
    cr_assert_eq(calls, 2);
    runtime_case_start(&at); /* the next run reads from the low position on */
    cr_assert_eq((int64_t)at.run->partitions[0].stored->low.low, low + 1);
    cr_assert_not(run_failed(at.run));
}
