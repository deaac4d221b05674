/* Records pushed by the host, outputs taken by it: values, outcomes, dead letters, order. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "engine_case.h"

static void push(struct engine_case *at, const char *key, const char *value)
{
    cr_assert_eq(strid_push(at->pipeline, 0, strid_bytes_of_text(key), strid_bytes_of_text(value),
                            STRID_TIMESTAMP_NONE),
                 STRID_OK);
}

static void create(struct engine_case *at, uint32_t workers, strid_handler handler)
{
    engine_case_init(at);
    (void)snprintf(at->source, sizeof at->source, "memory:in");
    engine_case_create(at, "raw", workers);
    STRID_CHECK_OK(strid_pipeline_add_sink(at->pipeline, "out", "memory:out", &at->err), at->err);
    engine_case_on(at, handler, at);
}

static void run(struct engine_case *at)
{
    strid_push_end(at->pipeline);
    STRID_CHECK_OK(engine_case_run(at), at->err);
}

static strid_outcome echo(strid_context *ctx, const strid_record *record, void *user)
{
    (void)user;
    if (strid_emit(ctx, "nobody", record->key, record->value) != STRID_ENOTFOUND)
        return STRID_REJECT;
    return strid_emit(ctx, "out", record->key, record->value) == STRID_OK ? STRID_DONE
                                                                          : STRID_REJECT;
}

Test(engine_memory, what_is_pushed_comes_out_in_order_with_ids)
{
    struct engine_case at;
    strid_output out;
    char value[32], id[64];
    create(&at, 1, echo);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(value, sizeof value, "value %d", i);
        push(&at, "key", value);
    }
    cr_assert_eq(strid_take(at.pipeline, "out", &out), STRID_AGAIN, "nothing ran yet");
    cr_assert_eq(strid_take(at.pipeline, "nobody", &out), STRID_ENOTFOUND);
    run(&at);
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(strid_take(at.pipeline, "out", &out), STRID_OK);
        (void)snprintf(value, sizeof value, "value %d", i);
        (void)snprintf(id, sizeof id, "engine/in/0/%d/0", i);
        cr_assert(strid_bytes_equal(out.value, strid_bytes_of_text(value)));
        cr_assert(strid_bytes_equal(out.key, strid_bytes_of_text("key")));
        cr_assert(strid_bytes_equal(out.id, strid_bytes_of_text(id)), "%.*s", (int)out.id.len,
                  (const char *)out.id.data);
    }
    cr_assert_eq(strid_take(at.pipeline, "out", &out), STRID_AGAIN);
    cr_assert_eq(engine_case_stats(&at).outputs, 1000);
    engine_case_fini(&at);
}

Test(engine_memory, push_is_told_to_come_again_under_back_pressure)
{
    struct engine_case at;
    engine_case_init(&at);
    (void)snprintf(at.source, sizeof at.source, "memory:in?capacity=4KiB");
    engine_case_create(&at, "raw", 1);
    engine_case_on(&at, engine_case_count, &at);
    strid_status status = STRID_OK;
    int pushed = 0;
    for (; status == STRID_OK && pushed < 1000; pushed += status == STRID_OK)
        status =
            strid_push(at.pipeline, 0, strid_bytes_of_text("k"), strid_bytes_of_text("value"), 0);
    cr_assert_eq(status, STRID_AGAIN);
    run(&at);
    cr_assert_eq(engine_case_total(&at, NULL), pushed, "what was taken is counted");
    engine_case_fini(&at);
}

static strid_outcome all_kinds(strid_context *ctx, const strid_record *record, void *user)
{
    const struct engine_case *at = user;
    strid_store store = at->counts;
    strid_bytes value = {0};
    strid_state_kind kind = strid_state_get(ctx, store, &value);
    switch (record->value.data[0]) {
    case 'i':
        strid_state_put_i64(ctx, store, INT64_MIN);
        return kind == STRID_STATE_ABSENT && strid_state_get_i64(ctx, store, 0) == INT64_MIN &&
                       strid_state_get_f64(ctx, store, 0) == (double)INT64_MIN
                   ? STRID_DONE
                   : STRID_REJECT;
    case 'f':
        strid_state_put_f64(ctx, store, -0.5);
        return kind == STRID_STATE_I64 && strid_state_get_f64(ctx, store, 0) == -0.5 &&
                       strid_state_get_i64(ctx, store, 77) == 77
                   ? STRID_DONE
                   : STRID_REJECT;
    case 'b':
        return kind == STRID_STATE_F64 &&
                       strid_state_put(ctx, store, strid_bytes_of("", 0)) == STRID_OK
                   ? STRID_DONE
                   : STRID_REJECT;
    case 'd':
        strid_state_delete(ctx, store);
        return kind == STRID_STATE_BYTES && value.len == 0 &&
                       strid_state_get(ctx, store, &value) == STRID_STATE_ABSENT
                   ? STRID_DONE
                   : STRID_REJECT;
    default:
        return kind == STRID_STATE_ABSENT ? STRID_DONE : STRID_REJECT;
    }
}

Test(engine_memory, all_kinds_of_values_and_deletion)
{
    struct engine_case at;
    uint64_t entries = 1;
    create(&at, 2, all_kinds);
    for (const char *const *value = (const char *const[]){"i", "f", "b", "d", "x", NULL};
         *value != NULL; value++)
        push(&at, "key", *value);
    run(&at);
    cr_assert_eq(engine_case_stats(&at).done, 5);
    cr_assert_eq(engine_case_stats(&at).dead_lettered, 0);
    (void)engine_case_total(&at, &entries);
    cr_assert_eq(entries, 0, "it was deleted at the end");
    engine_case_fini(&at);
}

static strid_outcome by_value(strid_context *ctx, const strid_record *record, void *user)
{
    (void)engine_case_count(ctx, record, user);
    if (strid_emit(ctx, "out", record->key, record->value) != STRID_OK)
        return STRID_REJECT;
    strid_set_reason(ctx, "because of the test");
    switch (record->value.data[0]) {
    case 's':
        return STRID_SKIP;
    case 'r':
        return STRID_REJECT;
    case 't':
        return STRID_RETRY;
    case '2': /* works at the second attempt */
        return strid_attempt(ctx) == 0 ? STRID_RETRY : STRID_DONE;
    default:
        return STRID_DONE;
    }
}

static void check_letter(struct engine_case *at, const char *value, const char *reason,
                         uint32_t attempts)
{
    strid_output out;
    cr_assert_eq(strid_take(at->pipeline, "dlq", &out), STRID_OK);
    cr_assert_not_null(out.dead_letter);
    cr_assert(strid_bytes_equal(out.value, strid_bytes_of_text(value)));
    cr_assert(strid_bytes_equal(out.key, strid_bytes_of_text("key")));
    cr_assert(strid_bytes_equal(out.dead_letter->reason, strid_bytes_of_text(reason)), "%.*s",
              (int)out.dead_letter->reason.len, (const char *)out.dead_letter->reason.data);
    cr_assert_eq(out.dead_letter->attempts, attempts);
    cr_assert_str_eq(out.dead_letter->pipeline, "engine");
}

Test(engine_memory, outcomes_take_effect_or_leave_nothing)
{
    struct engine_case at;
    strid_output out;
    create(&at, 1, by_value);
    for (const char *const *value =
             (const char *const[]){"done", "skip", "reject", "try", "2", NULL};
         *value != NULL; value++)
        push(&at, "key", *value);
    run(&at);
    strid_pipeline_stats stats = engine_case_stats(&at);
    cr_assert(stats.records == 5 && stats.done == 2 && stats.skipped == 1);
    cr_assert(stats.dead_lettered == 2 && stats.retried == 3, "%u retried",
              (unsigned)stats.retried);
    cr_assert_eq(engine_case_total(&at, NULL), 2, "only what was done");
    for (const char *const *value = (const char *const[]){"done", "2", NULL}; *value != NULL;
         value++) {
        cr_assert_eq(strid_take(at.pipeline, "out", &out), STRID_OK);
        cr_assert(strid_bytes_equal(out.value, strid_bytes_of_text(*value)));
    }
    cr_assert_eq(strid_take(at.pipeline, "out", &out), STRID_AGAIN);
    check_letter(&at, "reject", "rejected: because of the test", 1);
    check_letter(&at, "try", "attempts_exhausted: because of the test", 3);
    engine_case_fini(&at);
}

struct order {
    struct engine_case *at;
    _Atomic uint32_t wrong;
};

/* Values of a key count up; each call sees what the call before it left. */
static strid_outcome in_order(strid_context *ctx, const strid_record *record, void *user)
{
    struct order *order = user;
    int64_t last = strid_state_get_i64(ctx, order->at->counts, -1);
    int64_t now = 0;
    for (size_t i = 0; i < record->value.len; i++)
        now = now * 10 + record->value.data[i] - '0';
    if (now != last + 1)
        atomic_fetch_add(&order->wrong, 1);
    strid_state_put_i64(ctx, order->at->counts, now);
    return STRID_DONE;
}

Test(engine_memory, order_per_key_with_three_workers)
{
    struct engine_case at;
    struct order order = {.at = &at};
    char key[16], value[16];
    uint64_t entries = 0;
    engine_case_init(&at);
    (void)snprintf(at.source, sizeof at.source, "memory:in");
    engine_case_create(&at, "raw", 3);
    engine_case_on(&at, in_order, &order);
    for (int i = 0; i < 30000; i++) {
        (void)snprintf(key, sizeof key, "key-%d", i % 97);
        (void)snprintf(value, sizeof value, "%d", i / 97);
        push(&at, key, value);
    }
    run(&at);
    cr_assert_eq(order.wrong, 0);
    (void)engine_case_total(&at, &entries);
    cr_assert_eq(entries, 97);
    engine_case_fini(&at);
}

static void *take_all(void *user)
{
    struct engine_case *at = user;
    strid_output out;
    uint64_t taken = 0;
    while (taken < 3000)
        if (strid_take(at->pipeline, "out", &out) == STRID_OK)
            taken++;
        else
            sched_yield();
    return NULL;
}

/* The sink holds next to nothing: it refuses, the pipeline waits, all outputs arrive. */
Test(engine_memory, full_sink_waits_and_loses_nothing, .timeout = 60)
{
    struct engine_case at;
    pthread_t taker;
    char value[32];
    engine_case_init(&at);
    (void)snprintf(at.source, sizeof at.source, "memory:in");
    engine_case_create(&at, "raw", 2);
    STRID_CHECK_OK(strid_pipeline_add_sink(at.pipeline, "out", "memory:out?capacity=1KiB", &at.err),
                   at.err);
    engine_case_on(&at, echo, &at);
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(value, sizeof value, "value %d", i);
        push(&at, value, value);
    }
    cr_assert_eq(pthread_create(&taker, NULL, take_all, &at), 0);
    run(&at);
    pthread_join(taker, NULL);
    cr_assert_eq(engine_case_stats(&at).outputs, 3000);
    engine_case_fini(&at);
}
