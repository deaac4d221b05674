/* The engine on one thread: what becomes of a record, and what a run leaves when it ends early. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "runtime/budget.h"
#include "runtime/reader.h"
#include "runtime/worker.h"
#include "runtime_case.h"

enum { RECORDS = 200 };

/* What the test's handler does. */
struct script {
    struct runtime_case *at;
    int64_t calls;
    int64_t halt_at; /* the call that halts the run; 0: none */
    strid_outcome outcome;
};

static strid_outcome count(strid_context *ctx, const strid_record *record, void *user)
{
    struct script *script = user;
    strid_store store = script->at->counts;
    (void)record;
    script->calls++;
    strid_state_put_i64(ctx, store, strid_state_get_i64(ctx, store, 0) + 1);
    if (script->calls == script->halt_at)
        atomic_store(&script->at->run->stop, RUN_HALT);
    return script->outcome;
}

static void push_all(struct runtime_case *at, uint32_t keys)
{
    char key[16];
    for (uint32_t i = 0; i < RECORDS; i++) {
        (void)snprintf(key, sizeof key, "key-%u", i % keys);
        runtime_case_push(at, key, "value");
    }
    runtime_case_push_end(at);
}

static bool add_up(void *user, strid_bytes key, strid_bytes bytes)
{
    struct key_value value;
    int64_t number = 0;
    (void)key;
    cr_assert(key_get_value(bytes, &value));
    memcpy(&number, value.bytes.data, sizeof number);
    *(int64_t *)user += number;
    return true;
}

/* Of all keys, after a new run has brought blocks into the store. */
static int64_t total(struct runtime_case *at)
{
    int64_t sum = 0;
    const struct directory *directory = at->run->directory;
    cr_assert_eq(directory->ops->scan(directory->store, strid_bytes_of_text("s"),
                                      strid_bytes_of_text("t"), add_up, &sum, NULL),
                 STRID_OK);
    return sum;
}

Test(worker, counts_every_record_and_finishes)
{
    struct runtime_case at;
    struct script script = {.at = &at};
    runtime_case_init(&at, count, &script);
    push_all(&at, 7);
    runtime_case_start(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_eq(script.calls, RECORDS);
    cr_assert_eq(at.source != NULL, true);
    runtime_case_start(&at);
    cr_assert_eq(total(&at), RECORDS);
    runtime_case_fini(&at);
}

/* Halted in the midst of a chunk; agents may be pumped on before they are told to end. */
Test(worker, halted_between_any_two_records_the_next_run_completes_exactly)
{
    for (int64_t halt_at = 1; halt_at <= RECORDS; halt_at += 7) {
        struct runtime_case at;
        struct script script = {.at = &at, .halt_at = halt_at};
        runtime_case_init(&at, count, &script);
        at.options.chunk_records = 1 + (uint32_t)(halt_at % 60);
        push_all(&at, 5);
        runtime_case_start(&at);
        for (int turn = 0; turn < 300; turn++) /* sealing by interval included */
            (void)runtime_case_turn(&at);
        cr_assert_geq(script.calls, halt_at);
        script.halt_at = 0;
        runtime_case_start(&at);
        cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
        runtime_case_start(&at);
        cr_assert_eq(total(&at), RECORDS, "halted at %lld: %lld", (long long)halt_at,
                     (long long)total(&at));
        runtime_case_fini(&at);
    }
}

/* However many blocks are on their way: which of them is used first late in a run is chance, and
 * must not make it allocate then. */
Test(worker, block_that_is_opened_has_all_its_room)
{
    enum { BLOCK_BYTES = 300000, OUTPUT_BYTES = 70000 };
    struct runtime_case at;
    struct script script = {.at = &at};
    runtime_case_init(&at, count, &script);
    at.options.block_bytes = BLOCK_BYTES;
    at.options.output_bytes = OUTPUT_BYTES;
    runtime_case_push(&at, "k", "v");
    runtime_case_start(&at);
    struct worker *worker = &at.run->workers[0];
    while (worker->block == NULL)
        (void)runtime_case_turn(&at);
    struct sealed_block *block = worker->block;
    cr_assert_geq(block->bytes.capacity, BLOCK_BYTES);
    for (uint32_t d = 0; d < at.run->delivery_count; d++)
        cr_assert_geq(block->outputs[d].bytes.capacity, OUTPUT_BYTES);
    const uint8_t *data = block->bytes.data;
    runtime_case_push_end(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_eq(block->bytes.data, data, "it has moved");
    runtime_case_fini(&at);
}

/* A run that is under way has handled one record a millisecond for so long. */
static void handle_steadily(struct runtime_case *at, struct script *script, int64_t records)
{
    *script = (struct script){.at = at};
    runtime_case_init(at, count, script);
    runtime_case_start(at);
    for (int i = 0; i < 10; i++)
        (void)runtime_case_turn(at);
    for (int64_t i = 0; i < records; i++) {
        runtime_case_push(at, "key", "value");
        (void)runtime_case_turn(at);
        cr_assert_eq(script->calls, i + 1);
        cr_assert_gt(at->run->workers[0].open_chunks, i, "sealed while records came");
    }
}

/* Then nothing comes; how many milliseconds until the block is sealed. */
static int ms_until_sealed(int64_t records)
{
    struct runtime_case at;
    struct script script;
    int ms = 0;
    handle_steadily(&at, &script, records);
    for (; at.run->workers[0].open_chunks > 0 && ms < 1000; ms++)
        (void)runtime_case_turn(&at);
    runtime_case_fini(&at);
    return ms;
}

Test(worker, pause_ends_a_block_once_it_is_as_long_as_the_block_has_collected)
{
    static const int cases[][2] = {{1, 1}, {2, 1}, {5, 4}, {11, 10}, {20, 19}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(ms_until_sealed(cases[i][0]), cases[i][1], "%d records", cases[i][0]);
}

Test(worker, pause_of_20_ms_ends_any_block)
{
    cr_assert_eq(ms_until_sealed(60), 20);
    cr_assert_eq(ms_until_sealed(150), 20);
}

/* Neither before nor much later does it wake up to seal. */
Test(worker, sleeps_until_its_block_is_due)
{
    struct runtime_case at;
    struct script script;
    handle_steadily(&at, &script, 11);
    const struct worker *worker = &at.run->workers[0];
    for (int64_t left_ms = 9; left_ms > 0; left_ms--) {
        (void)runtime_case_turn(&at);
        cr_assert_eq(worker->agent.park_ns, left_ms * 1000000, "%lld ns, %lld ms are left",
                     (long long)worker->agent.park_ns, (long long)left_ms);
    }
    (void)runtime_case_turn(&at);
    cr_assert_eq(worker->open_chunks, 0);
    cr_assert_eq(worker->agent.park_ns, WORKER_PARK_NS);
    runtime_case_fini(&at);
}

/* Large records have arenas of their own: as many at a time as there is memory for, and one in any
 * case. */
Test(worker, memory_that_is_not_given_is_the_default)
{
    struct runtime_case at;
    struct script script = {.at = &at};
    struct budget budget;
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    runtime_case_init(&at, count, &script);
    at.definition->memory_bytes = 0;
    runtime_case_start(&at);
    budget_divide(budget_default(machine, 1, 1), 1, 1, &budget);
    cr_assert_eq(at.run->options.cache_bytes, budget.cache_bytes);
    cr_assert_eq(at.run->options.block_cache, budget.block_cache);
    runtime_case_fini(&at);
}

Test(worker, large_records_are_read_as_far_as_memory_allows)
{
    enum { LARGE = 400000, MANY = 40 };
    static const uint64_t bounds[] = {1, 3 * LARGE};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        struct runtime_case at;
        struct script script = {.at = &at};
        char *value = memory_alloc_zeroed(LARGE + 1);
        memset(value, 'v', LARGE);
        runtime_case_init(&at, count, &script);
        at.options.grown_bytes = bounds[i];
        for (int n = 0; n < MANY; n++)
            runtime_case_push(&at, "k", value);
        runtime_case_push_end(&at);
        runtime_case_start(&at);
        uint64_t most = 0;
        while (!atomic_load(&at.run->finished)) {
            (void)runtime_case_turn(&at);
            cr_assert_not(run_failed(at.run), "%s", at.run->error.message);
            uint64_t grown = at.run->readers[0].grown_bytes;
            most = grown > most ? grown : most;
        }
        cr_assert_eq(script.calls, MANY);
        cr_assert_gt(most, LARGE / 2, "there was something to bound");
        cr_assert_leq(most, bounds[i] + LARGE);
        memory_free(value);
        runtime_case_fini(&at);
    }
}

struct large {
    struct runtime_case *at;
    uint64_t held_max; /* bytes of the cache, at any call */
    uint64_t calls, wrong;
    bool writes;
};

enum { LARGE_VALUE = 100000, LARGE_KEYS = 40 };

static strid_outcome rewrite(strid_context *ctx, const strid_record *record, void *user)
{
    static uint8_t bytes[LARGE_VALUE];
    struct large *large = user;
    strid_bytes value = {0};
    uint8_t round = record->value.data[0];
    strid_state_kind kind = strid_state_get(ctx, large->at->counts, &value);
    uint64_t held = cache_held_bytes(&large->at->run->workers[0].cache);
    large->held_max = held > large->held_max ? held : large->held_max;
    large->calls++;
    if (large->writes && round == '0')
        large->wrong += kind != STRID_STATE_ABSENT;
    else
        large->wrong += kind != STRID_STATE_BYTES || value.len != LARGE_VALUE ||
                        value.data[LARGE_VALUE - 1] != (large->writes ? round - 1 : round);
    if (!large->writes)
        return STRID_DONE;
    memset(bytes, round, sizeof bytes);
    return strid_state_put(ctx, large->at->counts, strid_bytes_of(bytes, sizeof bytes)) == STRID_OK
               ? STRID_DONE
               : STRID_REJECT;
}

static void push_rounds(struct runtime_case *at, char from, char to)
{
    char key[16];
    for (char round = from; round <= to; round++)
        for (uint32_t i = 0; i < LARGE_KEYS; i++) {
            (void)snprintf(key, sizeof key, "key-%u", i);
            runtime_case_push(at, key, (const char[]){round, '\0'});
        }
}

/* One chunk meets four times as much state as the cache may hold: it is handled in parts, each of
 * which leaves what it needs no more. */
Test(worker, large_state_of_a_chunk_is_met_in_parts)
{
    enum { CACHE_BYTES = 1 << 20, BLOCK_BYTES = 200000 };
    struct runtime_case at;
    struct large large = {.at = &at, .writes = true};
    runtime_case_init(&at, rewrite, &large);
    at.options.cache_bytes = CACHE_BYTES;
    at.options.block_bytes = BLOCK_BYTES;
    push_rounds(&at, '0', '4');
    runtime_case_start(&at);
    for (int turn = 0; turn < 3000 && large.calls < LARGE_KEYS * 5; turn++)
        (void)runtime_case_turn(&at);
    cr_assert_eq(large.calls, LARGE_KEYS * 5, "each record once: %lu", (unsigned long)large.calls);
    cr_assert_gt(at.run->workers[0].sequence, LARGE_KEYS * 5 / 4, "a block for each few of them");
    large.writes = false;
    uint64_t lookups = atomic_load(&at.run->workers[0].counters.lookups);
    push_rounds(&at, '4', '4'); /* only read; what is there is in the store by now */
    runtime_case_push_end(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_eq(large.calls, LARGE_KEYS * 6);
    cr_assert_eq(large.wrong, 0);
    cr_assert_leq(large.held_max, CACHE_BYTES * 3 / 2, "%lu KiB",
                  (unsigned long)(large.held_max >> 10));
    cr_assert_eq(atomic_load(&at.run->workers[0].counters.lookups) - lookups, LARGE_KEYS,
                 "each record is counted once");
    runtime_case_fini(&at);
}

Test(worker, number_that_is_no_outcome_counts_as_reject)
{
    struct runtime_case at;
    struct script script = {.at = &at, .outcome = (strid_outcome)17};
    strid_output out;
    runtime_case_init(&at, count, &script);
    runtime_case_push(&at, "k", "v");
    runtime_case_push_end(&at);
    runtime_case_start(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_eq(runtime_case_take(&at, 1, &out), STRID_OK);
    cr_assert(strid_bytes_equal(out.dead_letter->reason, strid_bytes_of_text("rejected")));
    runtime_case_start(&at);
    cr_assert_eq(total(&at), 0, "what it wrote is dropped");
    runtime_case_fini(&at);
}

Test(worker, key_too_long_for_the_state_is_a_dead_letter_with_its_key)
{
    struct runtime_case at;
    struct script script = {.at = &at};
    strid_output out;
    size_t len = KEY_RECORD_KEY_MAX + 1;
    char *key = memory_alloc(len + 1);
    memset(key, 'k', len);
    key[len] = '\0';
    runtime_case_init(&at, count, &script);
    runtime_case_push(&at, key, "too long");
    runtime_case_push(&at, key + 1, "fits");
    runtime_case_push_end(&at);
    runtime_case_start(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_eq(script.calls, 1);
    cr_assert_eq(runtime_case_take(&at, 1, &out), STRID_OK);
    cr_assert(strid_bytes_equal(out.dead_letter->reason, strid_bytes_of_text("key_too_long")));
    cr_assert(strid_bytes_equal(out.key, strid_bytes_of(key, len)));
    cr_assert(strid_bytes_equal(out.value, strid_bytes_of_text("too long")));
    memory_free(key);
    runtime_case_fini(&at);
}

static strid_outcome read_while_writing(strid_context *ctx, const strid_record *record, void *user)
{
    const strid_store *stores = user;
    static const uint8_t big[100000];
    strid_bytes first;
    (void)record;
    if (strid_state_put(ctx, stores[0], strid_bytes_of_text("first")) != STRID_OK ||
        strid_state_get(ctx, stores[0], &first) != STRID_STATE_BYTES)
        return STRID_REJECT;
    for (int i = 0; i < 4; i++)
        if (strid_state_put(ctx, stores[1], strid_bytes_of(big, sizeof big)) != STRID_OK)
            return STRID_REJECT;
    if (!strid_bytes_equal(first, strid_bytes_of_text("first")) ||
        strid_state_put(ctx, stores[1], first) != STRID_OK)
        return STRID_REJECT;
    strid_bytes second;
    return strid_state_get(ctx, stores[1], &second) == STRID_STATE_BYTES &&
                   strid_bytes_equal(second, strid_bytes_of_text("first"))
               ? STRID_DONE
               : STRID_REJECT;
}

Test(worker, view_of_a_write_lives_while_another_store_is_written)
{
    struct runtime_case at;
    strid_store stores[2];
    strid_output out;
    strid_error err = STRID_ERROR_INIT;
    runtime_case_init(&at, read_while_writing, stores);
    stores[0] = at.counts;
    cr_assert_eq(definition_add_store(at.definition, "second", &stores[1], &err), STRID_OK);
    for (int i = 0; i < 3; i++)
        runtime_case_push(&at, "k", "v");
    runtime_case_push_end(&at);
    runtime_case_start(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_eq(runtime_case_take(&at, 1, &out), STRID_AGAIN, "no dead letter");
    runtime_case_fini(&at);
}

/* More types than are remembered, hundreds of them in one chunk. */
Test(worker, thousands_of_types_in_one_run)
{
    struct runtime_case at;
    struct script script = {.at = &at};
    strid_error err = STRID_ERROR_INIT;
    char value[64];
    runtime_case_init(&at, count, &script);
    cr_assert_eq(definition_set_decode(at.definition, "jsonl", NULL, "t", &err), STRID_OK);
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(value, sizeof value, "{\"t\":\"type-%d\"}", i);
        runtime_case_push(&at, "k", value);
    }
    runtime_case_push_end(&at);
    runtime_case_start(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_eq(script.calls, 5000);
    runtime_case_fini(&at);
}
