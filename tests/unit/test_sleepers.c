/* Agents that really sleep (sleepers.h): whoever brings work wakes who has to do it, and who waits
 * for a time looks when it has come. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "api/pipeline.h"
#include "base/error.h"
#include "runtime/committer.h"
#include "runtime/reader.h"
#include "runtime/worker.h"
#include "sleepers.h"

enum { SEEDS = 60, RECORDS = 60, PAUSE_MS = 300, FAILS = 3, TIMEOUT_MS = 100 };

static const int64_t ms = 1000000;
static struct runtime_case at;
static strid_source_ops source_ops; /* the memory source's, with acknowledgements that fail */
static strid_sink_ops sink_ops;     /* the memory sink's, with a flush that fails */
static strid_status (*memory_flush)(strid_sink *self, strid_error *err);
static uint32_t acks_fail, flushes_fail, handled, attempts;
static int64_t acked_ns, attempted_ns[FAILS], handler_ns;
static strid_position acked;

static strid_status ack(strid_source *self, uint32_t partition, strid_position low,
                        strid_error *err)
{
    (void)self, (void)partition;
    if (acks_fail > 0) {
        acks_fail--;
        return error_set(err, STRID_EUNREACHABLE, "test", "the broker is away");
    }
    acked = low;
    acked_ns = at.now_ns;
    return STRID_OK;
}

static strid_status flush(strid_sink *self, strid_error *err)
{
    if (flushes_fail > 0) {
        flushes_fail--;
        return error_set(err, STRID_EUNREACHABLE, "test", "the broker is away");
    }
    return memory_flush(self, err);
}

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    (void)user;
    handled++;
    at.now_ns += handler_ns;
    if (strid_bytes_equal(record->key, strid_bytes_of_text("rejects")))
        return STRID_REJECT;
    bool defers = strid_bytes_equal(record->key, strid_bytes_of_text("defers"));
    if (defers || strid_bytes_equal(record->key, strid_bytes_of_text("fails"))) {
        if (attempts < FAILS)
            attempted_ns[attempts] = at.now_ns;
        if (++attempts % FAILS == 0)
            return STRID_DONE;
        if (!defers)
            return STRID_RETRY;
        (void)strid_defer(ctx); /* and nobody completes it */
        return STRID_DEFERRED;
    }
    strid_state_put_i64(ctx, at.counts, strid_state_get_i64(ctx, at.counts, 0) + 1);
    cr_assert_eq(strid_emit(ctx, "out", record->key, record->value), STRID_OK);
    return STRID_DONE;
}

/* Values that begin with '-' are passed over. */
static void init(void)
{
    strid_error err = STRID_ERROR_INIT;
    acks_fail = flushes_fail = handled = attempts = 0;
    handler_ns = 0;
    runtime_case_init(&at, handle, NULL);
    struct definition *definition = at.definition;
    source_ops = *definition->source.ops;
    source_ops.ack = ack;
    definition->source.ops = &source_ops;
    sink_ops = *definition->sinks[0].ops;
    memory_flush = sink_ops.flush;
    sink_ops.flush = flush;
    definition->sinks[0].ops = &sink_ops;
    definition->workers = 2;
    definition->retry.step_count = 1;
    definition->retry.steps_ms[0] = PAUSE_MS;
    cr_assert_eq(definition_set_decode(definition, "text", NULL, NULL, &err), STRID_OK, "%s",
                 err.message);
    cr_assert_eq(definition_set_pattern(definition, "^(?<type>\\w+)", DECODE_UNMATCHED_SKIP, &err),
                 STRID_OK, "%s", err.message);
}

static void push_some(struct sleepers *sleepers, uint64_t seed)
{
    static const char *const keys[] = {"fails", "rejects", "one", "two", "three", "four", "five"};
    uint32_t first = seed % 5 == 0 ? 2 : 0; /* no dead letters, which ask for a sync */
    uint32_t drawn = sleepers_draw(sleepers, sizeof keys / sizeof *keys - first);
    runtime_case_push(&at, keys[first + drawn], sleepers_draw(sleepers, 8) == 0 ? "-" : "value");
}

/* With pauses of 0 to 3 s, in which everything comes to rest or does not. */
static void run_seed(uint64_t seed)
{
    static const int64_t pauses_ms[] = {0, 0, 0, 1, 1, 7, 30, 150, 3000};
    struct sleepers sleepers;
    init();
    at.definition->durability = (strid_durability)(STRID_DURABILITY_DURABLE + seed % 3);
    at.options.redo_bytes = seed % 2 == 0 ? 4096 : 0; /* materialises often */
    at.options.outbox_entries = seed % 4 == 0 ? 2 : 0;
    runtime_case_start(&at);
    sleepers_init(&sleepers, &at, seed);
    for (int i = 0; i < RECORDS; i++) {
        push_some(&sleepers, seed);
        acks_fail += sleepers_draw(&sleepers, 16) == 0;
        flushes_fail += sleepers_draw(&sleepers, 16) == 0;
        int64_t pause_ms = pauses_ms[sleepers_draw(&sleepers, sizeof pauses_ms / sizeof(int64_t))];
        sleepers_run(&sleepers, at.now_ns + pause_ms * ms);
        cr_assert_null(sleepers.late, "seed %d, record %d: %s slept on", (int)seed, i,
                       sleepers.late);
    }
    runtime_case_push_end(&at);
    cr_assert(sleepers_finish(&sleepers, 60000 * ms), "seed %d: %s", (int)seed,
              at.run->error.message);
    cr_assert_null(sleepers.late, "seed %d, the end: %s slept on", (int)seed, sleepers.late);
    cr_assert_eq(acked.low, RECORDS, "seed %d: %d", (int)seed, (int)acked.low);
    runtime_case_fini(&at);
}

Test(sleepers, nobody_finds_work_only_behind_a_rest)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        run_seed(seed);
}

/* All come to rest; what then comes is not late for that. */
Test(sleepers, what_comes_to_sleeping_agents_is_durable_soon)
{
    struct sleepers sleepers;
    init();
    runtime_case_start(&at);
    sleepers_init(&sleepers, &at, 1);
    static const char *const values[] = {"value", "-", "value"};
    for (int i = 0; i < 3; i++) {
        sleepers_run(&sleepers, at.now_ns + 5000 * ms);
        int64_t pushed_ns = at.now_ns;
        runtime_case_push(&at, "one", values[i]);
        sleepers_run(&sleepers, at.now_ns + 500 * ms);
        cr_assert_eq(acked.low, (uint64_t)i + 1, "record %d", i);
        cr_assert_leq(acked_ns - pushed_ns, 25 * ms, "%lld us", (long long)(acked_ns - pushed_ns));
    }
    uint32_t parks = sleepers.parks;
    sleepers_run(&sleepers, at.now_ns + 10000 * ms);
    /* In 10 s: the reader 5,000 times, and seven others ten times. */
    cr_assert_leq(sleepers.parks - parks, 5000 + 7 * 11, "%u", sleepers.parks - parks);
    runtime_case_fini(&at);
}

static void attempts_of(const char *key, int64_t pause_ms)
{
    struct sleepers sleepers;
    init();
    at.definition->timeout_ms = TIMEOUT_MS;
    runtime_case_start(&at);
    sleepers_init(&sleepers, &at, 1);
    runtime_case_push(&at, key, "value");
    sleepers_run(&sleepers, at.now_ns + 5000 * ms);
    cr_assert_eq(attempts, FAILS);
    for (int i = 1; i < FAILS; i++) {
        int64_t pause_ns = attempted_ns[i] - attempted_ns[i - 1];
        cr_assert(pause_ns >= (pause_ms - 2) * ms && pause_ns <= (pause_ms + 33) * ms, "%lld us",
                  (long long)pause_ns / 1000);
    }
    runtime_case_fini(&at);
}

Test(sleepers, attempts_come_when_they_are_due) { attempts_of("fails", PAUSE_MS); }

Test(sleepers, deferred_records_time_out_in_time) { attempts_of("defers", TIMEOUT_MS + PAUSE_MS); }

Test(sleepers, failed_sinks_and_acknowledgements_are_tried_again_in_time)
{
    struct sleepers sleepers;
    init();
    runtime_case_start(&at);
    sleepers_init(&sleepers, &at, 1);
    flushes_fail = 2; /* pauses of 100 and 200 ms */
    acks_fail = 2;    /* 50 and 100 ms */
    int64_t pushed_ns = at.now_ns;
    runtime_case_push(&at, "one", "value");
    sleepers_run(&sleepers, at.now_ns + 5000 * ms);
    cr_assert_eq(flushes_fail, 0);
    cr_assert_eq(acks_fail, 0);
    cr_assert_leq(acked_ns - pushed_ns, 490 * ms, "%lld us", (long long)(acked_ns - pushed_ns));
    runtime_case_fini(&at);
}

/* The reader is held up between the last chunk of a round and the round. */
Test(sleepers, committer_looks_for_a_round_that_comes_behind_its_records)
{
    struct sleepers sleepers;
    init();
    runtime_case_start(&at);
    sleepers_init(&sleepers, &at, 1);
    sleepers_run(&sleepers, at.now_ns + 10 * ms);
    struct reader *reader = &at.run->readers[0];
    acked = (strid_position){0};
    runtime_case_push(&at, "one", "value");
    (void)agent_pump(&reader->agent);
    struct round *round = ring_pop(reader->to_committer);
    cr_assert_not_null(round);
    sleepers_run(&sleepers, at.now_ns + 3500 * ms);
    cr_assert_eq(handled, 1);
    cr_assert_eq(acked.low, 0);
    cr_assert(ring_push(reader->to_committer, round));
    int64_t pushed_ns = at.now_ns;
    sleepers_run(&sleepers, at.now_ns + 500 * ms);
    cr_assert_eq(acked.low, 1);
    cr_assert_leq(acked_ns - pushed_ns, 25 * ms, "%lld us", (long long)(acked_ns - pushed_ns));
    runtime_case_fini(&at);
}

/* Of eight chunks that share a wake-up the first does not wait for slow handlers of the others. */
Test(sleepers, chunks_come_back_while_handlers_are_slow)
{
    init();
    at.definition->workers = 1;
    at.options.chunk_records = 1;
    handler_ns = 50 * ms;
    runtime_case_start(&at);
    struct agent *worker = &at.run->workers[0].agent, *reader = &at.run->readers[0].agent;
    struct agent *committer = committer_agent(at.run->committer);
    while (!at.run->workers[0].retry.loaded)
        (void)agent_pump(worker);
    for (int i = 0; i < 4; i++)
        runtime_case_push(&at, "one", "value");
    while (agent_pump(reader) > 0)
        ;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t events = atomic_load(&committer->parker.events);
        while (handled < i + 2)
            (void)agent_pump(worker);
        cr_assert_gt(atomic_load(&committer->parker.events), events, "chunk %u", i);
    }
    runtime_case_fini(&at);
}

/* A reader with something for one worker in each turn does not leave another one sleeping. */
Test(sleepers, reader_wakes_a_worker_also_while_more_comes)
{
    init();
    at.definition->workers = 1;
    runtime_case_start(&at);
    struct agent *worker = &at.run->workers[0].agent, *reader = &at.run->readers[0].agent;
    while (!at.run->workers[0].retry.loaded)
        (void)agent_pump(worker);
    uint32_t events = atomic_load(&worker->parker.events);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(atomic_load(&worker->parker.events), events, "turn %d", i);
        runtime_case_push(&at, "one", "value");
        cr_assert_gt(agent_pump(reader), 0);
        at.now_ns += ms;
    }
    cr_assert_gt(atomic_load(&worker->parker.events), events);
    runtime_case_fini(&at);
}

Test(sleepers, control_is_woken_by_the_end_a_failure_and_a_stop)
{
    struct parker control = {0};
    strid_error err = STRID_ERROR_INIT;
    init();
    at.options.control = &control;
    runtime_case_start(&at);
    runtime_case_push_end(&at);
    cr_assert(runtime_case_finish(&at));
    cr_assert_eq(atomic_load(&control.events), 1);
    (void)error_set(&err, STRID_EIO, "test", "broken");
    run_fail(at.run, &err);
    cr_assert_eq(atomic_load(&control.events), 2);
    runtime_case_fini(&at);
    strid_pipeline_options options = {STRID_PIPELINE_OPTIONS_INIT, .name = "stopped",
                                      .source = "memory:stopped", .state = "memory:"};
    strid_pipeline *pipeline = strid_pipeline_create(&options, &err);
    cr_assert_not_null(pipeline, "%s", err.message);
    strid_pipeline_stop(pipeline);
    cr_assert_eq(atomic_load(&pipeline->control.events), 1);
    strid_pipeline_destroy(pipeline);
}
