/* The engine on one thread: what becomes of a record, and what a run leaves when it ends early. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
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

/* Large records have arenas of their own: as many at a time as there is memory for, and one in any
 * case. */
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
