#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/worker_retry.h"
#include "runtime/worker_retry_mark.h"

#include "runtime_case.h"

enum { CALLS_MAX = 4096, TEXT_MAX = 8192 };

/* A handler that fails while the test wants it, and notes its calls as "key=value@attempt ". */
struct script {
    struct runtime_case at;
    const char *fails;   /* values with one of these characters; "*": all; NULL: none */
    uint32_t fail_below; /* attempts of them that fail */
    char calls[TEXT_MAX];
    size_t len;
    uint32_t count;
};

static bool holds(const char *list, strid_bytes word)
{
    return list != NULL && (*list == '*' || (word.len > 0 && memchr(word.data, *list, word.len)) ||
                            holds(list[1] == '\0' ? NULL : list + 1, word));
}

static strid_outcome note(strid_context *ctx, const strid_record *record, void *user)
{
    struct script *script = user;
    uint32_t attempt = strid_attempt(ctx);
    script->count++;
    if (script->len < TEXT_MAX - 128)
        script->len +=
            (size_t)snprintf(script->calls + script->len, 128, "%.*s=%.*s@%u ",
                             (int)record->key.len, (const char *)record->key.data,
                             (int)record->value.len, (const char *)record->value.data, attempt);
    strid_state_put_i64(ctx, script->at.counts, strid_state_get_i64(ctx, script->at.counts, 0) + 1);
    cr_assert_eq(strid_emit(ctx, "out", record->key, record->value), STRID_OK);
    cr_assert_eq(record->origin->partition, 0);
    if (holds(script->fails, record->value) && attempt < script->fail_below) {
        strid_set_reason(ctx, "no luck");
        return STRID_RETRY;
    }
    return STRID_DONE;
}

static void begin(struct script *script)
{
    runtime_case_init(&script->at, note, script);
    struct retry_definition *retry = &script->at.definition->retry;
    retry->step_count = 1;
    retry->steps_ms[0] = 50;
    runtime_case_start(&script->at);
}

static void push(struct script *script, const char *key, const char *value)
{
    runtime_case_push(&script->at, key, value);
}

static void turn(struct script *script, int turns)
{
    for (int i = 0; i < turns; i++)
        (void)runtime_case_turn(&script->at);
}

static strid_pipeline_stats stats_of(struct script *script)
{
    strid_pipeline_stats stats = {0};
    run_add_stats(script->at.run, &stats);
    return stats;
}

static const char *calls(struct script *script)
{
    script->len = 0;
    return script->calls;
}

static void finish(struct script *script)
{
    runtime_case_push_end(&script->at);
    cr_assert(runtime_case_finish(&script->at), "%s", script->at.run->error.message);
    strid_pipeline_stats stats = stats_of(script);
    cr_assert(stats.waiting == 0 && stats.parked == 0 && stats.parked_bytes == 0);
    runtime_case_fini(&script->at);
}

static uint32_t outputs(struct script *script, uint32_t sink, char *text, size_t size)
{
    strid_output out;
    uint32_t count = 0;
    size_t len = 0;
    text[0] = '\0';
    while (runtime_case_take(&script->at, sink, &out) == STRID_OK && ++count)
        len += (size_t)snprintf(text + len, size - len, "%.*s ", (int)out.value.len,
                                (const char *)out.value.data);
    return count;
}

Test(worker_retry, others_flow_and_those_of_the_key_are_parked_in_order)
{
    struct script script = {.fails = "1", .fail_below = 2};
    char text[256];
    begin(&script);
    push(&script, "a", "1");
    push(&script, "a", "2");
    push(&script, "b", "3");
    push(&script, "a", "4");
    turn(&script, 10);
    cr_assert_str_eq(calls(&script), "a=1@0 b=3@0 ");
    strid_pipeline_stats stats = stats_of(&script);
    cr_assert(stats.records == 4 && stats.done == 1 && stats.retried == 1 && stats.waiting == 1 &&
              stats.parked == 2 && stats.parked_bytes > 0);
    turn(&script, 60);
    cr_assert_str_eq(calls(&script), "a=1@1 ");
    turn(&script, 60);
    cr_assert_str_eq(calls(&script), "a=1@2 a=2@0 a=4@0 ");
    stats = stats_of(&script);
    cr_assert(stats.records == 4 && stats.done == 4 && stats.retried == 2);
    cr_assert_eq(outputs(&script, 0, text, sizeof text), 4);
    cr_assert_str_eq(text, "3 1 2 4 ");
    finish(&script);
}

Test(worker_retry, a_parked_record_may_fail_as_well)
{
    struct script script = {.fails = "12", .fail_below = 1};
    begin(&script);
    push(&script, "a", "1");
    push(&script, "a", "2");
    push(&script, "a", "3");
    turn(&script, 65);
    cr_assert_str_eq(calls(&script), "a=1@0 a=1@1 a=2@0 ");
    turn(&script, 60);
    cr_assert_str_eq(calls(&script), "a=2@1 a=3@0 ");
    finish(&script);
}

Test(worker_retry, what_waited_within_one_block_is_in_no_block)
{
    struct script script = {.fails = "1", .fail_below = 1};
    runtime_case_init(&script.at, note, &script);
    script.at.definition->retry.step_count = 1;
    script.at.definition->retry.steps_ms[0] = 0;
    runtime_case_start(&script.at);
    push(&script, "a", "1");
    push(&script, "a", "2");
    turn(&script, 60);
    cr_assert_str_eq(calls(&script), "a=1@0 a=1@1 a=2@0 ");
    cr_assert_eq(script.at.run->workers[0].cache.entry_count, 1, "the count of a alone");
    cr_assert_eq(script.at.run->workers[0].cache.subs.bytes, 0);
    finish(&script);
}

/* Behind the first failure from `min` to twice that, behind the second to four times, never beyond
 * `max`; each key at a time of its own. */
Test(worker_retry, exponential_waits_are_those_of_the_pipeline)
{
    enum { KEYS = 40 };
    struct script script = {.fails = "*", .fail_below = 2};
    begin(&script);
    script.at.definition->retry.step_count = 0;
    script.at.definition->retry.min_ms = 100;
    script.at.definition->retry.max_ms = 300;
    runtime_case_start(&script.at);
    for (char key[] = "A"; key[0] < 'A' + KEYS; key[0]++)
        push(&script, key, "1");
    turn(&script, 90);
    cr_assert_eq(script.count, KEYS);
    turn(&script, 65); /* about half of the span has gone by */
    cr_assert(script.count > KEYS + 5 && script.count < 2 * KEYS - 5, "%u", script.count);
    turn(&script, 360);
    cr_assert_eq(stats_of(&script).done, KEYS);
    finish(&script);
}

Test(worker_retry, attempts_and_order_survive_restarts)
{
    struct script script = {.fails = "1", .fail_below = 3};
    strid_output out;
    begin(&script);
    script.at.definition->max_attempts = 3;
    push(&script, "a", "1");
    push(&script, "a", "2");
    turn(&script, 30); /* handled and sealed */
    cr_assert_str_eq(calls(&script), "a=1@0 ");
    runtime_case_start(&script.at);
    push(&script, "a", "3"); /* parked by another run than the others */
    turn(&script, 65);
    cr_assert_str_eq(calls(&script), "a=1@1 ");
    script.at.definition->workers = 3;
    runtime_case_start(&script.at);
    turn(&script, 65);
    cr_assert_str_eq(calls(&script), "a=1@2 a=2@0 a=3@0 ");
    turn(&script, 30);
    cr_assert_eq(runtime_case_take(&script.at, 1, &out), STRID_OK);
    const strid_dead_letter *letter = out.dead_letter;
    cr_assert(
        strid_bytes_equal(letter->reason, strid_bytes_of_text("attempts_exhausted: no luck")));
    cr_assert(letter->attempts == 3 && letter->last_failure_ms - letter->first_failure_ms >= 100,
              "%lld ms", (long long)(letter->last_failure_ms - letter->first_failure_ms));
    finish(&script);
}

Test(worker_retry, what_was_not_sealed_is_read_again)
{
    struct script script = {.fails = "1", .fail_below = 1};
    begin(&script);
    turn(&script, 1);
    push(&script, "a", "1");
    turn(&script, 1);
    cr_assert_str_eq(calls(&script), "a=1@0 ");
    cr_assert_eq(stats_of(&script).blocks, 0);
    runtime_case_start(&script.at);
    turn(&script, 100);
    cr_assert_str_eq(calls(&script), "a=1@0 a=1@1 ");
    finish(&script);
}

Test(worker_retry, a_drain_leaves_what_waits_to_the_next_run)
{
    struct script script = {.fails = "*", .fail_below = 1};
    begin(&script);
    push(&script, "a", "1");
    turn(&script, 5);
    push(&script, "b", "2");
    turn(&script, 10);
    cr_assert_str_eq(calls(&script), "a=1@0 b=2@0 ");
    atomic_store(&script.at.run->stop, RUN_DRAIN);
    cr_assert(runtime_case_finish(&script.at));
    cr_assert_eq(stats_of(&script).waiting, 2);
    turn(&script, 200);
    cr_assert_eq(script.len, 0, "nothing is tried while it drains");
    runtime_case_start(&script.at);
    turn(&script, 70);
    cr_assert_str_eq(calls(&script), "a=1@1 b=2@1 ");
    finish(&script);
}

Test(worker_retry, with_ordering_none_only_the_record_itself_waits)
{
    struct script script = {.fails = "12", .fail_below = 2};
    begin(&script);
    script.at.definition->retry.ordering = STRID_ORDERING_NONE;
    push(&script, "a", "1");
    push(&script, "a", "2");
    push(&script, "a", "3");
    turn(&script, 10);
    cr_assert_str_eq(calls(&script), "a=1@0 a=2@0 a=3@0 ");
    cr_assert(stats_of(&script).waiting == 2 && stats_of(&script).parked == 0);
    turn(&script, 30);
    runtime_case_start(&script.at); /* and over a restart */
    turn(&script, 60);
    push(&script, "a", "4");
    cr_assert_str_eq(calls(&script), "a=1@1 a=2@1 ");
    turn(&script, 60);
    cr_assert_str_eq(calls(&script), "a=4@0 a=1@2 a=2@2 ");
    finish(&script);
}

Test(worker_retry, with_ordering_partition_everything_waits)
{
    struct script script = {.fails = "1", .fail_below = 1};
    begin(&script);
    script.at.definition->retry.ordering = STRID_ORDERING_PARTITION;
    push(&script, "a", "1");
    push(&script, "b", "2");
    push(&script, "c", "3");
    turn(&script, 30);
    cr_assert_str_eq(calls(&script), "a=1@0 ");
    runtime_case_start(&script.at);
    turn(&script, 60);
    cr_assert_str_eq(calls(&script), "a=1@1 b=2@0 c=3@0 ");
    finish(&script);
}

Test(worker_retry, an_order_by_partition_is_ended_before_another_begins)
{
    struct script script = {.fails = "1", .fail_below = 1};
    begin(&script);
    script.at.definition->retry.ordering = STRID_ORDERING_PARTITION;
    push(&script, "a", "1");
    turn(&script, 30);
    script.at.definition->retry.ordering = STRID_ORDERING_KEY;
    runtime_case_start(&script.at);
    turn(&script, 2);
    cr_assert(run_failed(script.at.run));
    cr_assert_eq(script.at.run->error.status, STRID_ESTATE);
    cr_assert_not_null(strstr(script.at.run->error.message, "run with it until nothing waits"));
    script.at.definition->retry.ordering = STRID_ORDERING_PARTITION;
    runtime_case_start(&script.at);
    finish(&script);
}

Test(worker_retry, an_order_by_key_goes_on_under_another)
{
    for (int i = 0; i < 2; i++) {
        struct script script = {.fails = "1", .fail_below = 1};
        begin(&script);
        push(&script, "a", "1");
        push(&script, "a", "2");
        turn(&script, 30);
        script.at.definition->retry.ordering =
            i == 0 ? STRID_ORDERING_PARTITION : STRID_ORDERING_NONE;
        runtime_case_start(&script.at);
        push(&script, "a", "3");
        turn(&script, 100);
        cr_assert_str_eq(calls(&script),
                         i == 0 ? "a=1@0 a=1@1 a=2@0 a=3@0 " : "a=1@0 a=3@0 a=1@1 a=2@0 ");
        finish(&script);
    }
}

Test(worker_retry, records_without_a_key_wait_with_their_partition)
{
    struct script script = {.fails = "1", .fail_below = 1};
    begin(&script);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(
            script.at.definition->source.ops->push(script.at.source, 0, strid_bytes_of(NULL, 0),
                                                   strid_bytes_of_text(i == 0 ? "1" : "2"), 0),
            STRID_OK);
    push(&script, "a", "3");
    turn(&script, 30);
    cr_assert_str_eq(calls(&script), "=1@0 a=3@0 ");
    runtime_case_start(&script.at);
    turn(&script, 60);
    cr_assert_str_eq(calls(&script), "=1@1 =2@0 ");
    finish(&script);
}

Test(worker_retry, too_much_that_waits_stops_the_reading)
{
    struct script script = {.fails = "*", .fail_below = 1};
    begin(&script);
    script.at.options.chunk_records = 1;
    script.at.definition->retry.max_parked = 8;
    script.at.definition->retry.steps_ms[0] = 500;
    runtime_case_start(&script.at);
    for (int i = 0; i < 40; i++)
        push(&script, "a", "1");
    turn(&script, 100);
    strid_pipeline_stats stats = stats_of(&script);
    cr_assert(stats.waiting + stats.parked >= 8 && stats.waiting + stats.parked < 20,
              "%llu wait or are parked", (unsigned long long)(stats.waiting + stats.parked));
    cr_assert_eq(script.count, 1);
    runtime_case_start(&script.at); /* counted again */
    turn(&script, 100);
    cr_assert_eq(stats_of(&script).records, 0, "nothing more is read");
    script.fails = NULL;
    script.at.definition->retry.max_parked = UINT64_MAX;
    turn(&script, 600);
    finish(&script);
    cr_assert_eq(script.count, 41);
}

Test(worker_retry, bytes_are_bounded_as_well)
{
    struct script script = {.fails = "*", .fail_below = 1};
    begin(&script);
    script.at.options.chunk_records = 1;
    runtime_case_start(&script.at);
    script.at.definition->retry.max_parked_bytes = 500;
    for (int i = 0; i < 40; i++)
        push(&script, "a", "1");
    turn(&script, 40);
    strid_pipeline_stats stats = stats_of(&script);
    cr_assert(stats.parked_bytes >= 500 && stats.parked_bytes < 2000, "%llu",
              (unsigned long long)stats.parked_bytes);
    turn(&script, 3000);
    finish(&script);
    cr_assert_eq(script.count, 40 + 40, "it goes on once there is less");
}

static bool hook(void *user, const strid_record *record, uint32_t attempts, const char *reason)
{
    uint32_t *taken = user;
    cr_assert_str_eq(reason, "no luck");
    cr_assert_geq(attempts, 1);
    bool mine = strid_bytes_equal(record->key, strid_bytes_of_text("h"));
    *taken += mine;
    return mine;
}

Test(worker_retry, the_host_may_take_it_over)
{
    struct script script = {.fails = "1", .fail_below = 1};
    char text[64];
    uint32_t taken = 0;
    begin(&script);
    script.at.definition->retry.hook = hook;
    script.at.definition->retry.hook_user = &taken;
    push(&script, "h", "1");
    push(&script, "a", "1");
    push(&script, "h", "2");
    turn(&script, 100);
    cr_assert_str_eq(calls(&script), "h=1@0 a=1@0 h=2@0 a=1@1 ");
    strid_pipeline_stats stats = stats_of(&script);
    cr_assert(stats.handed_over == 1 && taken == 1 && stats.retried == 1 && stats.done == 2);
    cr_assert_eq(outputs(&script, 0, text, sizeof text), 2, "its outputs were dropped");
    finish(&script);
}

Test(worker_retry, a_clock_that_was_set_back_makes_nothing_wait_longer)
{
    struct script script = {.fails = "*", .fail_below = 1};
    begin(&script);
    push(&script, "a", "1");
    push(&script, "b", "2");
    turn(&script, 30);
    script.at.now_ns -= 900000000; /* while it runs */
    turn(&script, 60);
    cr_assert_str_eq(calls(&script), "a=1@0 b=2@0 a=1@1 b=2@1 ");
    push(&script, "c", "3");
    turn(&script, 30);
    script.at.now_ns -= 90000000; /* and between two runs */
    runtime_case_start(&script.at);
    turn(&script, 60);
    cr_assert_str_eq(calls(&script), "c=3@0 c=3@1 ");
    finish(&script);
}

static void put_damaged(struct script *script, uint8_t store, const char *subkey)
{
    struct worker *worker = &script->at.run->workers[0];
    turn(script, 1); /* it has looked by then */
    struct worker_store_key key = {.store = store,
                                   .hash = 0x01000001,
                                   .key = strid_bytes_of_text("k"),
                                   .subkey = strid_bytes_of_text(subkey)};
    worker_store_put(
        worker, &key,
        &(struct key_value){.kind = STRID_STATE_BYTES, .bytes = strid_bytes_of_text("nonsense")});
    worker_store_mark(worker, WORKER_RETRY_MARK_STORE, key.hash >> 24, true);
    turn(script, 30);
}

Test(worker_retry, damage_is_told_and_nothing_is_lost)
{
    struct script script = {0};
    begin(&script);
    put_damaged(&script, WORKER_RETRY_HEAD_STORE, "");
    runtime_case_start(&script.at);
    turn(&script, 2);
    cr_assert(run_failed(script.at.run));
    cr_assert_eq(script.at.run->error.status, STRID_ECORRUPT);
    cr_assert_not_null(strstr(script.at.run->error.message, "restore the directory"));
    runtime_case_fini(&script.at);
}

Test(worker_retry, a_head_without_its_record_is_damage)
{
    struct script script = {.fails = "1", .fail_below = 1};
    begin(&script);
    push(&script, "a", "1");
    turn(&script, 10);
    struct waiting_key *key = script.at.run->workers[0].retry.waiting.heap[0];
    key->head.first_seq--; /* there is no such entry */
    turn(&script, 100);
    cr_assert(run_failed(script.at.run));
    cr_assert_eq(script.at.run->error.status, STRID_ECORRUPT);
    runtime_case_fini(&script.at);
}

/* Dead letters keep the place of each record in the order of its partition. */
Test(worker_retry, unreadable_records_wait_their_turn)
{
    struct script script = {.fails = "1", .fail_below = 1};
    strid_output out;
    begin(&script);
    script.at.definition->retry.ordering = STRID_ORDERING_PARTITION;
    script.at.definition->decode.format = DECODE_JSONL;
    runtime_case_start(&script.at);
    push(&script, "a", "{\"n\":1}");
    push(&script, "b", "{\"n\":");
    push(&script, "c", "{\"n\":3}");
    turn(&script, 30);
    cr_assert_str_eq(calls(&script), "a={\"n\":1}@0 ");
    cr_assert_eq(stats_of(&script).dead_lettered, 0);
    runtime_case_start(&script.at);
    turn(&script, 60);
    cr_assert_eq(runtime_case_take(&script.at, 1, &out), STRID_OK);
    cr_assert(strid_bytes_equal(out.dead_letter->reason, strid_bytes_of_text("not_json")));
    cr_assert(strid_bytes_equal(out.key, strid_bytes_of_text("b")) &&
              strid_bytes_equal(out.value, strid_bytes_of_text("{\"n\":")));
    finish(&script);
}
