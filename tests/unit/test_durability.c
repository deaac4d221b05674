/* When blocks are synced, by the pipeline's durability: the engine on one thread, with a store that
 * counts. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "runtime/storage.h"
#include "runtime/worker.h"
#include "runtime_case.h"

enum { CHUNK = 8, RECORDS = 400 };

static struct store_ops counting_ops;
static uint64_t blocks_written, blocks_synced, ingests;

static strid_status counting_apply(struct store *store, const struct store_op *ops, size_t count,
                                   strid_error *err)
{
    for (size_t i = 0; i < count; i++)
        blocks_written += ops[i].key.data[0] == KEY_BLOCK && ops[i].value.data != NULL;
    return directory_case_ops.apply(store, ops, count, err);
}

static strid_status counting_sync(struct store *store, strid_error *err)
{
    blocks_synced = blocks_written;
    return directory_case_ops.sync(store, err);
}

static strid_status counting_load(struct store *store, store_next_fn next, void *user,
                                  strid_error *err)
{
    ingests++;
    return directory_case_ops.bulk_load(store, next, user, err);
}

/* What the handler sees of the worker that calls it. */
struct watch {
    struct runtime_case *at;
    uint64_t calls;
    uint64_t block; /* the one that is open */
    uint64_t calls_in_block, calls_in_block_max;
    uint64_t behind_max; /* blocks sealed and not yet synced */
};

static strid_outcome count(strid_context *ctx, const strid_record *record, void *user)
{
    struct watch *watch = user;
    const struct run *run = watch->at->run;
    strid_store store = watch->at->counts;
    uint64_t open = run->workers[0].sequence;
    uint64_t behind = open - 1 - storage_synced_sequence(run->storage, 0);
    (void)record;
    watch->calls++;
    watch->calls_in_block = open == watch->block ? watch->calls_in_block + 1 : 1;
    watch->block = open;
    if (watch->calls_in_block > watch->calls_in_block_max)
        watch->calls_in_block_max = watch->calls_in_block;
    if (behind > watch->behind_max)
        watch->behind_max = behind;
    strid_state_put_i64(ctx, store, strid_state_get_i64(ctx, store, 0) + 1);
    return STRID_DONE;
}

static void begin(struct runtime_case *at, struct watch *watch, strid_durability durability)
{
    counting_ops = directory_case_ops;
    counting_ops.apply = counting_apply;
    counting_ops.sync = counting_sync;
    counting_ops.bulk_load = counting_load;
    *watch = (struct watch){.at = at};
    runtime_case_init(at, count, watch);
    at->options.store_ops = &counting_ops;
    at->options.chunk_records = CHUNK;
    at->definition->durability = durability;
}

static void push(struct runtime_case *at, uint32_t from, uint32_t count_of)
{
    char key[16];
    for (uint32_t i = from; i < from + count_of; i++) {
        (void)snprintf(key, sizeof key, "key-%u", i);
        runtime_case_push(at, key, "value");
    }
}

static void turn(struct runtime_case *at, int turns)
{
    for (int i = 0; i < turns; i++)
        (void)runtime_case_turn(at);
    cr_assert_not(run_failed(at->run), "%s", at->run->error.message);
}

static size_t stored(struct runtime_case *at)
{
    runtime_case_start(at);
    return directory_case_count("s", "t");
}

Test(durability, strict_handles_no_chunk_before_the_last_one_is_synced)
{
    struct runtime_case at;
    struct watch watch;
    begin(&at, &watch, STRID_DURABILITY_STRICT);
    push(&at, 0, RECORDS);
    runtime_case_push_end(&at);
    runtime_case_start(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_eq(watch.calls, RECORDS);
    cr_assert_eq(watch.behind_max, 0);
    cr_assert_leq(watch.calls_in_block_max, CHUNK);
    cr_assert_eq(stored(&at), RECORDS);
    runtime_case_fini(&at);
}

/* Turns in which the disk is slow: storage does not get to its work. */
static void turn_without_storage(struct runtime_case *at, int turns)
{
    struct agent *agents[32];
    uint32_t agent_count = run_agents(at->run, agents, 32);
    for (int i = 0; i < turns; i++, at->now_ns += 1000000)
        for (uint32_t a = 0; a < agent_count; a++)
            if (agents[a] != storage_agent(at->run->storage))
                (void)agent_pump(agents[a]);
}

Test(durability, strict_waits_for_a_slow_disk)
{
    struct runtime_case at;
    struct watch watch;
    begin(&at, &watch, STRID_DURABILITY_STRICT);
    push(&at, 0, RECORDS);
    runtime_case_start(&at);
    turn_without_storage(&at, 100);
    cr_assert_eq(watch.calls, CHUNK);
    turn(&at, 1);
    turn_without_storage(&at, 100);
    cr_assert_eq(watch.calls, 2 * CHUNK);
    runtime_case_fini(&at);
}

Test(durability, durable_goes_on_while_blocks_are_synced)
{
    struct runtime_case at;
    struct watch watch;
    begin(&at, &watch, STRID_DURABILITY_DURABLE);
    push(&at, 0, RECORDS);
    runtime_case_push_end(&at);
    runtime_case_start(&at);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_gt(watch.calls_in_block_max, CHUNK);
    cr_assert_eq(blocks_synced, blocks_written);
    runtime_case_fini(&at);
}

Test(durability, replay_writes_blocks_and_syncs_none_while_records_come)
{
    struct runtime_case at;
    struct watch watch;
    begin(&at, &watch, STRID_DURABILITY_REPLAY);
    runtime_case_start(&at);
    uint64_t syncs = storage_syncs(at.run->storage),
             synced = storage_synced_number(at.run->storage);
    for (uint32_t i = 0; i < 100; i++) {
        push(&at, i, 1);
        turn(&at, 10);
    }
    cr_assert_gt(blocks_written, 10);
    cr_assert_eq(storage_syncs(at.run->storage), syncs);
    cr_assert_eq(storage_synced_number(at.run->storage), synced);
    cr_assert_eq(storage_lows_synced(at.run->storage), 0, "nothing may be told to the source");
    cr_assert_gt(watch.behind_max, 4, "its blocks come back unsynced");
    runtime_case_fini(&at);
}

Test(durability, replay_syncs_once_nothing_comes_any_more)
{
    struct runtime_case at;
    struct watch watch;
    begin(&at, &watch, STRID_DURABILITY_REPLAY);
    runtime_case_start(&at);
    push(&at, 0, 50);
    turn(&at, 150);
    cr_assert_eq(storage_syncs(at.run->storage), 0);
    turn(&at, 500);
    cr_assert_gt(storage_syncs(at.run->storage), 0);
    cr_assert_eq(storage_lows_synced(at.run->storage), 1, "the source may let go of them");
    cr_assert_eq(blocks_synced, blocks_written);
    runtime_case_fini(&at);
}

Test(durability, replay_syncs_before_each_ingest_and_goes_on_behind_it)
{
    struct runtime_case at;
    struct watch watch;
    begin(&at, &watch, STRID_DURABILITY_REPLAY);
    at.options.redo_bytes = 8192;
    runtime_case_start(&at);
    ingests = 0;
    for (uint32_t i = 0; i < 300; i++) {
        push(&at, i * CHUNK, CHUNK);
        turn(&at, 10);
    }
    cr_assert_eq(watch.calls, 300 * CHUNK, "redo does not stay at its bound");
    cr_assert_geq(ingests, 2);
    uint64_t syncs = storage_syncs(at.run->storage);
    cr_assert(syncs >= ingests && syncs <= ingests + 2, "%llu syncs, %llu ingests",
              (unsigned long long)syncs, (unsigned long long)ingests);
    cr_assert_lt(syncs * 5, storage_blocks(at.run->storage));
    runtime_case_fini(&at);
}

Test(durability, replay_ends_synced_and_told)
{
    struct runtime_case at;
    struct watch watch;
    begin(&at, &watch, STRID_DURABILITY_REPLAY);
    push(&at, 0, RECORDS);
    runtime_case_push_end(&at);
    runtime_case_start(&at);
    int64_t begun_ns = at.now_ns;
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_lt(at.now_ns - begun_ns, 150000000, "the end does not wait for a pause");
    cr_assert_eq(blocks_synced, blocks_written);
    cr_assert_gt(storage_lows_synced(at.run->storage), 0);
    cr_assert_eq(stored(&at), RECORDS);
    cr_assert_eq(at.run->partitions[0].stored->low.low, RECORDS);
    runtime_case_fini(&at);
}

Test(durability, replay_drained_is_synced)
{
    struct runtime_case at;
    struct watch watch;
    begin(&at, &watch, STRID_DURABILITY_REPLAY);
    runtime_case_start(&at);
    push(&at, 0, 100);
    turn(&at, 60);
    cr_assert_eq(storage_syncs(at.run->storage), 0);
    atomic_store(&at.run->stop, RUN_DRAIN);
    cr_assert(runtime_case_finish(&at), "%s", at.run->error.message);
    cr_assert_eq(blocks_synced, blocks_written);
    cr_assert_eq(stored(&at), 100);
    runtime_case_fini(&at);
}

Test(durability, option_that_is_none_is_refused)
{
    strid_error err = STRID_ERROR_INIT;
    strid_pipeline *pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "p", .source = "memory:in",
                                  .durability = (strid_durability)4},
        &err);
    cr_assert_null(pipeline);
    cr_assert_eq(err.status, STRID_ECONFIG);
    cr_assert(strstr(err.message, "4 is no durability") != NULL, "%s", err.message);
}
