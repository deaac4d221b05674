/* What a run asks of its store, and what holds it where the store lags behind: the engine on one
 * thread, over a store in memory that counts. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "runtime/materialiser.h"
#include "runtime/worker.h"

#include "runtime_case.h"

enum { KEYS = 120, MANY = 3000, REDO_BYTES = 16384, CHUNK_RECORDS = 16 };

/* Of the store that the run has. */
static struct {
    uint32_t reads, keys, loads;
    uint32_t level0_files;
} store;

static strid_status get_many(struct store *of, const strid_bytes *keys, size_t count,
                             store_value_fn fn, void *user, strid_error *err)
{
    store.reads++;
    store.keys += (uint32_t)count;
    return directory_case_ops.get_many(of, keys, count, fn, user, err);
}

static strid_status bulk_load(struct store *of, store_next_fn next, void *user, strid_error *err)
{
    store.loads++;
    return directory_case_ops.bulk_load(of, next, user, err);
}

static void figures(struct store *of, struct store_figures *out)
{
    directory_case_ops.figures(of, out);
    out->level_files[0] = store.level0_files;
}

struct script {
    struct runtime_case at;
    uint32_t calls;
    int64_t found; /* records that met a count */
};

/* Records with the value "w" count, others only look. */
static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    struct script *script = user;
    int64_t count = strid_state_get_i64(ctx, script->at.counts, 0);
    script->calls++;
    script->found += count > 0;
    if (strid_bytes_equal(record->value, strid_bytes_of_text("w")))
        strid_state_put_i64(ctx, script->at.counts, count + 1);
    return STRID_DONE;
}

static void begin(struct script *script)
{
    static struct store_ops ops;
    ops = directory_case_ops;
    ops.get_many = get_many;
    ops.bulk_load = bulk_load;
    ops.figures = figures;
    runtime_case_init(&script->at, handle, script);
    script->at.options.store_ops = &ops;
}

static void push(struct script *script, uint32_t from, uint32_t to, const char *value)
{
    char key[16];
    for (uint32_t i = from; i < to; i++) {
        (void)snprintf(key, sizeof key, "key-%u", i);
        runtime_case_push(&script->at, key, value);
    }
}

/* Until so many records were handled; false: they are not, however long it takes. */
static bool turn_until(struct script *script, uint32_t calls)
{
    for (int i = 0; i < 2000 && script->calls < calls; i++)
        (void)runtime_case_turn(&script->at);
    cr_assert_not(run_failed(script->at.run), "%s", script->at.run->error.message);
    return script->calls >= calls;
}

static void seal(struct script *script)
{
    for (int i = 0; i < 300; i++)
        (void)runtime_case_turn(&script->at);
}

/* A run whose cache holds nothing, and which does not load whole vshards. It has looked for what an
 * earlier run left, and met one record, so that it knows which store those of its type need. */
static void start_cold(struct script *script)
{
    runtime_case_start(&script->at);
    script->at.run->state_may_fit = false;
    script->calls = 0;
    runtime_case_push(&script->at, "another", "r");
    cr_assert(turn_until(script, 1));
    store.reads = store.keys = script->calls = 0;
}

Test(pressure, misses_of_a_chunk_are_read_at_once_and_absent_keys_are_remembered)
{
    struct script script = {0};
    begin(&script);
    runtime_case_start(&script.at);
    push(&script, 0, KEYS, "w");
    cr_assert(turn_until(&script, KEYS));
    seal(&script);
    start_cold(&script);
    push(&script, 0, 2 * KEYS, "r"); /* half of them are nowhere */
    cr_assert(turn_until(&script, 2 * KEYS));
    cr_assert_eq(script.found, KEYS);
    cr_assert_eq(store.reads, 1, "%u reads", store.reads);
    cr_assert_eq(store.keys, 2 * KEYS);
    push(&script, 0, 2 * KEYS, "r");
    cr_assert(turn_until(&script, 4 * KEYS));
    cr_assert_eq(script.found, 2 * KEYS);
    cr_assert_eq(store.reads, 1, "both kinds are in the cache");
    runtime_case_fini(&script.at);
}

Test(pressure, redo_is_bounded_where_level_0_is_full_and_goes_on_once_it_is_not)
{
    struct script script = {0};
    begin(&script);
    script.at.options.redo_bytes = REDO_BYTES;
    script.at.options.chunk_records = CHUNK_RECORDS;
    runtime_case_start(&script.at);
    store.loads = 0;
    store.level0_files = 48;
    push(&script, 0, MANY, "w");
    cr_assert_not(turn_until(&script, MANY));
    cr_assert_eq(store.loads, 0, "nothing more goes into level 0");
    int64_t redo = materialiser_redo_bytes(script.at.run->materialiser);
    cr_assert(redo > REDO_BYTES && redo < REDO_BYTES * 5 / 4, "%lld bytes", (long long)redo);
    uint32_t calls = script.calls;
    seal(&script);
    cr_assert_eq(script.calls, calls, "the workers wait");
    cr_assert_lt(materialiser_agent(script.at.run->materialiser)->park_ns, AGENT_REST_NS,
                 "nobody tells it that compaction caught up");
    store.level0_files = 47;
    cr_assert(turn_until(&script, MANY));
    cr_assert_gt(store.loads, 2);
    runtime_case_push_end(&script.at);
    cr_assert(runtime_case_finish(&script.at), "%s", script.at.run->error.message);
    runtime_case_fini(&script.at);
}

/* Changes are sealed by their bytes where that is earlier than by time. */
Test(pressure, block_is_sealed_by_bytes)
{
    struct script script = {0};
    begin(&script);
    script.at.options.block_bytes = 1000;
    script.at.options.chunk_records = CHUNK_RECORDS;
    script.at.options.seal_interval_ns = INT64_MAX / 2;
    runtime_case_start(&script.at);
    push(&script, 0, MANY, "w");
    cr_assert(turn_until(&script, MANY));
    strid_pipeline_stats stats = {0};
    run_add_stats(script.at.run, &stats);
    /* An entry has some 25 bytes, and a chunk of 16 may go beyond the bound. */
    cr_assert(stats.blocks > MANY * 20 / 1500, "%llu blocks", (unsigned long long)stats.blocks);
    runtime_case_fini(&script.at);
}
