/* Dead letters from the block that passes their record to the dead-letter queue, on one thread: who
 * waits for whom, what a run leaves to the next one, and what bounds them. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "runtime/delivery.h"
#include "runtime/outbox.h"
#include "runtime/worker.h"
#include "runtime/worker_store.h"
#include "runtime_case.h"

enum { AGENTS_MAX = 32, TURNS = 400 };

static struct runtime_case at;
static int64_t calls;
static int pushed;

static strid_outcome reject(strid_context *ctx, const strid_record *record, void *user)
{
    (void)user;
    (void)record;
    calls++;
    strid_state_put_i64(ctx, at.counts, 1);
    return STRID_REJECT;
}

static void setup(void)
{
    calls = pushed = 0;
    runtime_case_init(&at, reject, NULL);
}
static void teardown(void) { runtime_case_fini(&at); }

TestSuite(outbox, .init = setup, .fini = teardown);

/* All agents move, but the dead-letter queue's delivery where it is away. */
static void turns(int count, bool away)
{
    struct agent *agents[AGENTS_MAX];
    for (int turn = 0; turn < count; turn++) {
        uint32_t agent_count = run_agents(at.run, agents, AGENTS_MAX);
        for (uint32_t i = 0; i < agent_count; i++)
            if (!away || agents[i] != &at.run->deliveries[1].agent)
                (void)agent_pump(agents[i]);
        at.now_ns += 1000000;
    }
    cr_assert_not(run_failed(at.run), "%s", at.run->error.message);
}

static void push(int count)
{
    for (int i = 0; i < count; i++) {
        char key[16], value[16];
        (void)snprintf(key, sizeof key, "k%d", pushed % 7);
        (void)snprintf(value, sizeof value, "%d", pushed++);
        runtime_case_push(&at, key, value);
    }
}

static uint64_t waiting(void)
{
    strid_pipeline_stats stats = {0};
    run_add_stats(at.run, &stats);
    return stats.outbox_entries;
}

/* Takes what arrived: numbers in order, from `first` on. */
static int take(int first, int *last_id)
{
    strid_output out;
    int count = 0;
    while (runtime_case_take(&at, 1, &out) == STRID_OK) {
        char value[16];
        (void)snprintf(value, sizeof value, "%d", first + count++);
        cr_assert(strid_bytes_equal(out.value, strid_bytes_of_text(value)), "%.*s is not %s",
                  (int)out.value.len, out.value.data, value);
        cr_assert_not_null(out.dead_letter);
    }
    if (last_id != NULL)
        *last_id = first + count;
    return count;
}

Test(outbox, a_block_does_not_wait_for_the_dead_letter_queue)
{
    runtime_case_start(&at);
    for (int i = 0; i < 3 * WORKER_BLOCKS; i++) {
        push(10);
        turns(TURNS, true);
    }
    cr_assert_eq(calls, 30 * WORKER_BLOCKS, "the worker waits for the dead-letter queue");
    cr_assert_eq(waiting(), 30 * WORKER_BLOCKS);
    cr_assert_eq(take(0, NULL), 0);
    turns(TURNS, false);
    cr_assert_eq(take(0, NULL), 30 * WORKER_BLOCKS);
    cr_assert_eq(waiting(), 0);
}

Test(outbox, what_a_run_leaves_the_next_one_sends_first_and_in_order)
{
    runtime_case_start(&at);
    push(1000);
    turns(TURNS, true);
    cr_assert_eq(waiting(), 1000);
    for (uint32_t workers = 3; workers > 0; workers--) { /* vshards change hands */
        at.definition->workers = workers;
        runtime_case_start(&at);
        turns(TURNS, true);
        cr_assert_eq(waiting(), 1000, "%u workers", workers);
    }
    push(100);
    turns(TURNS, true);
    runtime_case_start(&at);
    turns(TURNS, false);
    cr_assert_eq(take(0, NULL), 1100);
    cr_assert_eq(waiting(), 0);
    runtime_case_start(&at);
    turns(TURNS, false);
    cr_assert_eq(take(1100, NULL), 0, "what was delivered does not come again");
    cr_assert_eq(calls, 1100);
}

Test(outbox, is_written_with_the_progress_that_passes_the_record)
{
    runtime_case_start(&at);
    push(5);
    turns(TURNS, true);
    runtime_case_start(&at); /* nothing is read again, and no state of a rejected record is there */
    turns(TURNS, true);
    cr_assert_eq(calls, 5);
    cr_assert_eq(waiting(), 5);
    char state[] = {'s', 0}, end[] = {'t', 0};
    size_t entries = directory_case_count(state, end);
    turns(TURNS, false);
    cr_assert_eq(take(0, NULL), 5);
    runtime_case_start(&at);
    cr_assert_eq(directory_case_count(state, end), 0, "%zu before: letters and counts are deleted",
                 entries);
    cr_assert_gt(entries, 5);
}

struct failed {
    strid_position position;
    int64_t first_ms, last_ms;
};

static strid_outcome retry_then_reject(strid_context *ctx, const strid_record *record, void *user)
{
    struct failed *failed = user;
    if (!strid_bytes_equal(record->key, strid_bytes_of_text("key")))
        return STRID_REJECT;
    int64_t *when_ms = strid_attempt(ctx) == 0 ? &failed->first_ms : &failed->last_ms;
    *when_ms = at.now_ns / 1000000;
    failed->position = record->position;
    strid_set_reason(ctx, "no such account");
    return strid_attempt(ctx) == 0 ? STRID_RETRY : STRID_REJECT;
}

/* Over two restarts: one while it waits, one while its letter is in the outbox. */
Test(outbox, a_letter_says_where_and_when_its_record_failed)
{
    static const char value[] = "{\"kind\": \"order\"}";
    struct failed failed = {0};
    strid_error err = STRID_ERROR_INIT;
    strid_output out;
    cr_assert_eq(definition_set_decode(at.definition, "jsonl", NULL, "kind", &err), STRID_OK);
    at.definition->routes[0].handler = retry_then_reject;
    at.definition->routes[0].user = &failed;
    at.definition->retry.step_count = 1;
    at.definition->retry.steps_ms[0] = TURNS + TURNS / 2;
    runtime_case_push(&at, "k", "{}");
    cr_assert_eq(at.definition->source.ops->push(at.source, 0, strid_bytes_of_text("key"),
                                                 strid_bytes_of_text(value), 777),
                 STRID_OK);
    for (int run = 0; run < 3; run++) {
        runtime_case_start(&at);
        turns(TURNS, run < 2);
    }
    do
        cr_assert_eq(runtime_case_take(&at, 1, &out), STRID_OK);
    while (!strid_bytes_equal(out.key, strid_bytes_of_text("key")));
    const strid_dead_letter *letter = out.dead_letter;
    cr_assert(strid_bytes_equal(out.value, strid_bytes_of_text(value)));
    cr_assert(strid_bytes_equal(letter->type, strid_bytes_of_text("order")));
    cr_assert(strid_bytes_equal(letter->reason, strid_bytes_of_text("rejected: no such account")));
    cr_assert(
        strid_bytes_equal(letter->topic, strid_bytes_of_text(at.run->partitions[0].origin.topic)));
    cr_assert(letter->partition == 0 && letter->attempts == 2 && out.timestamp_ms == 777);
    cr_assert_eq(strid_position_compare(letter->position, failed.position), 0);
    cr_assert_eq(letter->first_failure_ms, failed.first_ms);
    cr_assert_eq(letter->last_failure_ms, failed.last_ms);
    cr_assert_geq(failed.last_ms - failed.first_ms, TURNS);
    cr_assert_str_eq(letter->source, "memory:in");
    cr_assert_str_eq(letter->pipeline, "case");
    cr_assert_str_eq(letter->node, at.run->node);
}

Test(outbox, a_full_one_stops_reading_and_goes_on_when_there_is_room)
{
    at.options.outbox_entries = 50;
    at.options.chunk_records = 10;
    runtime_case_start(&at);
    push(500);
    turns(TURNS, true);
    cr_assert_geq(calls, 50);
    cr_assert_leq(calls, 60, "%lld letters in a box for 50", (long long)calls);
    cr_assert_not_null(strstr(at.store.last_log, "no room for more"), "%s", at.store.last_log);
    runtime_case_push_end(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_eq(calls, 500);
    cr_assert_eq(take(0, NULL), 500);
}

Test(outbox, bytes_bound_it_too)
{
    at.options.outbox_bytes = 1000;
    at.options.chunk_records = 5;
    runtime_case_start(&at);
    push(100);
    turns(TURNS, true);
    cr_assert_lt(calls, 30, "%lld letters in 1000 bytes", (long long)calls);
    turns(TURNS, false);
    cr_assert_eq(calls, 100);
    at.options.outbox_bytes = 0;
    at.options.outbox_refs = 1000;
    runtime_case_start(&at);
    push(100);
    turns(TURNS, true);
    cr_assert_lt(calls, 140, "%lld references in 1000 bytes", (long long)calls - 100);
}

Test(outbox, the_end_waits_until_it_is_empty)
{
    runtime_case_start(&at);
    push(20);
    runtime_case_push_end(&at);
    turns(TURNS, true);
    cr_assert_not(atomic_load(&at.run->finished), "finished with letters in the outbox");
    cr_assert(runtime_case_finish(&at));
    cr_assert_eq(take(0, NULL), 20);
    runtime_case_start(&at);
    cr_assert(runtime_case_finish(&at));
    cr_assert_eq(take(20, NULL), 0, "the end came before the deletion was durable");
}

Test(outbox, letters_that_wait_and_no_queue_is_an_error)
{
    runtime_case_start(&at);
    push(3);
    turns(TURNS, true);
    const struct sink_definition *dlq = at.sinks[1].definition;
    at.sinks[1].definition = NULL;
    runtime_case_start(&at);
    cr_assert_not(runtime_case_finish(&at));
    cr_assert_eq(at.run->error.status, STRID_ECONFIG);
    cr_assert_not_null(strstr(at.run->error.message, "3 dead letters of an earlier run left"), "%s",
                       at.run->error.message);
    at.sinks[1].definition = dlq;
    runtime_case_start(&at);
    turns(TURNS, false);
    cr_assert_eq(take(0, NULL), 3);
}

Test(outbox, more_letters_than_a_list_holds_come_in_order)
{
    enum { MANY = 5000 };
    runtime_case_start(&at);
    for (int i = 0; i < MANY / 100; i++) {
        push(100);
        turns(3, true);
    }
    turns(TURNS, true);
    cr_assert_eq(waiting(), MANY);
    turns(4 * TURNS, false);
    cr_assert_eq(take(0, NULL), MANY);
    cr_assert_eq(waiting(), 0);
}

/* Passing over it would lose it. */
Test(outbox, a_letter_that_cannot_be_read_refuses_the_run)
{
    enum { VERSION_LATER = 2 };
    const uint8_t letter[] = {VERSION_LATER, 0, 0, 0, 0, 0, 0, 0, 0};
    const int64_t one = 1;
    uint8_t key[1 + RETRY_SUBKEY_BYTES] = {'k'};
    retry_record_subkey(key + 1, 1);
    const struct key_state counted = worker_store_mark_key(OUTBOX_STORE, 3);
    const struct key_state name = {.hash = counted.hash,
                                   .sub_len = RETRY_SUBKEY_BYTES,
                                   .store = OUTBOX_STORE,
                                   .key = strid_bytes_of(key, sizeof key)};
    runtime_case_start(&at); /* the directory is there */
    directory_case_put_entry(
        &counted,
        &(struct key_value){.kind = STRID_STATE_I64, .bytes = strid_bytes_of(&one, sizeof one)});
    directory_case_put_entry(&name,
                             &(struct key_value){.kind = STRID_STATE_BYTES,
                                                 .bytes = strid_bytes_of(letter, sizeof letter)});
    runtime_case_start(&at);
    cr_assert_not(runtime_case_finish(&at));
    cr_assert_eq(at.run->error.status, STRID_EVERSION);
    cr_assert_not_null(strstr(at.run->error.message, "a later version has written it"), "%s",
                       at.run->error.message);
    cr_assert_eq(take(0, NULL), 0);
}
