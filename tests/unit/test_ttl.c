/* Time to live of entries: the engine on one thread, under a clock that the test moves. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "api/pipeline.h"
#include "runtime/materialiser.h"
#include "runtime/worker.h"
#include "runtime_case.h"

enum { TTL_MS = 10000, MANY = 3000 };

/* What the handler read last, and how it is to write. */
struct script {
    struct runtime_case *at;
    strid_store forever; /* a store whose entries stay */
    int64_t read;
    bool only_reads;
};

static strid_outcome count(strid_context *ctx, const strid_record *record, void *user)
{
    struct script *script = user;
    strid_store store = script->at->counts;
    (void)record;
    script->read = strid_state_get_i64(ctx, store, 0);
    if (script->only_reads)
        return STRID_DONE;
    strid_state_put_i64(ctx, store, script->read + 1);
    strid_state_put_i64(ctx, script->forever, strid_state_get_i64(ctx, script->forever, 0) + 1);
    return STRID_DONE;
}

static void begin(struct runtime_case *at, struct script *script)
{
    strid_error err = STRID_ERROR_INIT;
    *script = (struct script){.at = at};
    runtime_case_init(at, count, script);
    cr_assert_eq(definition_add_store(at->definition, "forever", &script->forever, &err), STRID_OK);
    cr_assert_eq(definition_set_ttl(at->definition, script->forever, DEFINITION_TTL_NEVER, &err),
                 STRID_OK);
    at->definition->ttl_ms = TTL_MS;
    runtime_case_start(at);
}

static void turn(struct runtime_case *at, int turns)
{
    for (int i = 0; i < turns; i++)
        (void)runtime_case_turn(at);
    cr_assert_not(run_failed(at->run), "%s", at->run->error.message);
}

static int64_t handle(struct runtime_case *at, struct script *script, const char *key)
{
    script->read = -1;
    runtime_case_push(at, key, "v");
    for (int i = 0; i < 100 && script->read < 0; i++)
        turn(at, 1);
    return script->read;
}

static void push_many(struct runtime_case *at, uint32_t many)
{
    char key[16];
    for (uint32_t i = 0; i < many; i++) {
        (void)snprintf(key, sizeof key, "key-%u", i);
        runtime_case_push(at, key, "v");
    }
    turn(at, 300);
}

static void pass_ms(struct runtime_case *at, int64_t ms) { at->now_ns += ms * 1000000; }

struct tally {
    size_t expiring, staying, keyless;
};

static bool add_up(void *user, strid_bytes encoded_key, strid_bytes bytes)
{
    struct tally *tally = user;
    struct key_state key;
    struct key_value value;
    cr_assert(key_get_state(encoded_key, &key) && key_get_value(bytes, &value));
    tally->expiring += value.expiry_ms != 0;
    tally->staying += value.expiry_ms == 0;
    tally->keyless += (key.store & KEY_STORE_KEYLESS) != 0;
    return true;
}

/* What is in the store: of all that was written once the next run has begun. */
static struct tally stored(struct runtime_case *at)
{
    struct tally tally = {0};
    const struct directory *directory = at->run->directory;
    cr_assert_eq(directory->ops->scan(directory->store, strid_bytes_of_text("s"),
                                      strid_bytes_of_text("t"), add_up, &tally, NULL),
                 STRID_OK);
    return tally;
}

Test(ttl, entry_is_absent_so_long_after_its_last_write)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    cr_assert_eq(handle(&at, &script, "k"), 0);
    pass_ms(&at, TTL_MS - 200);
    cr_assert_eq(handle(&at, &script, "k"), 1, "written within its time");
    pass_ms(&at, TTL_MS - 200);
    cr_assert_eq(handle(&at, &script, "k"), 2, "each write begins it anew");
    script.only_reads = true;
    pass_ms(&at, TTL_MS / 2);
    cr_assert_eq(handle(&at, &script, "k"), 3);
    pass_ms(&at, TTL_MS / 2);
    cr_assert_eq(handle(&at, &script, "k"), 0, "reading does not");
    runtime_case_fini(&at);
}

Test(ttl, expiry_outlives_the_run)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    cr_assert_eq(handle(&at, &script, "k"), 0);
    turn(&at, 100);
    runtime_case_start(&at);
    cr_assert_eq(stored(&at).expiring, 1);
    cr_assert_eq(handle(&at, &script, "k"), 1);
    turn(&at, 100);
    runtime_case_start(&at);
    pass_ms(&at, TTL_MS);
    cr_assert_eq(handle(&at, &script, "k"), 0);
    runtime_case_fini(&at);
}

/* Misses are read one by one where not all state fits the caches. */
Test(ttl, expired_entry_read_from_the_store_is_absent)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    cr_assert_eq(handle(&at, &script, "k"), 0);
    cr_assert_eq(handle(&at, &script, "k2"), 0);
    turn(&at, 100);
    runtime_case_start(&at);
    at.run->state_may_fit = false;
    script.only_reads = true;
    cr_assert_eq(handle(&at, &script, "k"), 1);
    pass_ms(&at, TTL_MS);
    cr_assert_eq(handle(&at, &script, "k2"), 0);
    runtime_case_fini(&at);
}

Test(ttl, what_expired_in_blocks_is_dropped_as_they_are_materialised)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    push_many(&at, 100);
    atomic_store(&at.run->stop, RUN_HALT); /* so that nobody sweeps */
    pass_ms(&at, TTL_MS);
    runtime_case_start(&at);
    struct tally tally = stored(&at);
    cr_assert(tally.expiring == 0 && tally.staying == 100);
    runtime_case_fini(&at);
}

Test(ttl, materialiser_drops_what_has_expired)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    at.run->workers[0].sweep.next_ms = INT64_MAX; /* it would delete them as well */
    push_many(&at, 100);
    cr_assert_eq(stored(&at).staying, 0, "nothing is materialised yet");
    pass_ms(&at, TTL_MS);
    materialiser_hurry(at.run->materialiser);
    turn(&at, 10);
    struct tally tally = stored(&at);
    cr_assert(tally.expiring == 0 && tally.staying == 100, "%zu, %zu", tally.expiring,
              tally.staying);
    runtime_case_fini(&at);
}

Test(ttl, cache_is_swept_and_the_deletions_reach_the_store)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    at.options.redo_bytes = 4096;
    runtime_case_start(&at);
    push_many(&at, MANY);
    turn(&at, 200);
    cr_assert_gt(stored(&at).expiring, MANY / 2, "most of them are materialised by now");
    pass_ms(&at, TTL_MS);
    turn(&at, 2000);
    at.options.redo_bytes = 0;
    at.now_ns = 1; /* so that beginning a run drops nothing */
    runtime_case_start(&at);
    struct tally tally = stored(&at);
    cr_assert(tally.expiring == 0 && tally.staying == MANY, "%zu of them left", tally.expiring);
    runtime_case_fini(&at);
}

/* The next run has nothing in its caches. */
Test(ttl, store_is_swept_in_bounded_steps)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    push_many(&at, MANY);
    runtime_case_push(&at, "late", "v");
    turn(&at, 100);
    runtime_case_start(&at);
    cr_assert_eq(stored(&at).expiring, MANY + 1);
    at.run->state_may_fit = false;
    pass_ms(&at, TTL_MS / 2);
    cr_assert_eq(handle(&at, &script, "late"), 1);
    turn(&at, 100); /* a first pass, which finds nothing */
    pass_ms(&at, TTL_MS / 2);
    uint32_t dirty_max = 0;
    for (int i = 0; i < 3000; i++) {
        uint32_t before = at.run->workers[0].cache.dirty_count;
        turn(&at, 1);
        uint32_t now = at.run->workers[0].cache.dirty_count;
        dirty_max = now > before && now - before > dirty_max ? now - before : dirty_max;
    }
    cr_assert_leq(dirty_max, WORKER_SWEEP_ENTRIES);
    at.now_ns = 1;
    runtime_case_start(&at);
    struct tally tally = stored(&at);
    cr_assert_eq(tally.staying, MANY + 1);
    cr_assert_eq(tally.expiring, 1, "that which was written later; %zu are left", tally.expiring);
    runtime_case_fini(&at);
}

/* Another time to live, or none, holds for what is written from then on; what there is keeps its
 * own, reads as absent behind it, and is swept. */
static void check_changed(int64_t ttl_ms)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    push_many(&at, MANY);
    at.definition->ttl_ms = ttl_ms;
    runtime_case_start(&at);
    cr_assert_eq(stored(&at).expiring, MANY);
    at.run->state_may_fit = false;
    script.only_reads = true;
    pass_ms(&at, TTL_MS - 1000);
    cr_assert_eq(handle(&at, &script, "key-7"), 1, "it keeps its time");
    pass_ms(&at, TTL_MS);
    cr_assert_eq(handle(&at, &script, "key-8"), 0, "and no longer");
    for (int pass = 0; pass < 2; pass++) { /* one may have begun before they expired */
        pass_ms(&at, 3600000);             /* the longest pause between two passes */
        turn(&at, 3000);
    }
    at.now_ns = 1;
    runtime_case_start(&at);
    struct tally tally = stored(&at);
    cr_assert_eq(tally.expiring, 0, "%zu are left", tally.expiring);
    cr_assert_eq(tally.staying, MANY);
    runtime_case_fini(&at);
}

Test(ttl, what_was_written_before_a_shorter_one_is_swept) { check_changed(1000); }
Test(ttl, what_was_written_before_it_was_removed_is_swept) { check_changed(0); }

Test(ttl, store_without_one_is_not_swept_for_ever)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    cr_assert_eq(handle(&at, &script, "k"), 0);
    turn(&at, 100);
    at.definition->ttl_ms = 0;
    runtime_case_start(&at);
    at.run->state_may_fit = false;
    turn(&at, 3000);
    cr_assert_not(at.run->workers[0].sweep.left_done, "one that expires is there");
    for (int pass = 0; pass < 3; pass++) {
        pass_ms(&at, 3600000);
        turn(&at, 3000);
        runtime_case_push(&at, "other", "v"); /* what was swept is sealed, and materialised */
        turn(&at, 100);
    }
    runtime_case_start(&at);
    at.run->state_may_fit = false;
    turn(&at, 3000);
    cr_assert(at.run->workers[0].sweep.left_done);
    runtime_case_fini(&at);
}

static void push_keyless(struct runtime_case *at)
{
    cr_assert_eq(at->definition->source.ops->push(at->source, 0, strid_bytes_of(NULL, 0),
                                                  strid_bytes_of_text("v"), 0),
                 STRID_OK);
    turn(at, 100);
}

Test(ttl, state_of_records_without_a_key_expires_too)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    push_keyless(&at);
    push_keyless(&at);
    cr_assert_eq(script.read, 1);
    runtime_case_start(&at);
    cr_assert_eq(stored(&at).keyless, 2);
    at.run->state_may_fit = false;
    pass_ms(&at, TTL_MS);
    turn(&at, 3000);
    int64_t now_ns = at.now_ns;
    at.now_ns = 1; /* so that beginning a run drops nothing */
    runtime_case_start(&at);
    cr_assert_eq(stored(&at).keyless, 1, "that of the other store is left");
    at.now_ns = now_ns;
    push_keyless(&at);
    cr_assert_eq(script.read, 0);
    at.now_ns = 1;
    runtime_case_start(&at);
    cr_assert_eq(stored(&at).keyless, 2, "it was written anew");
    runtime_case_fini(&at);
}

/* A key whose vshard is that; keys are counted up from `*number`. */
static const char *key_of_vshard(struct runtime_case *at, uint32_t vshard, uint32_t *number,
                                 char key[16])
{
    do
        (void)snprintf(key, 16, "key-%u", (*number)++);
    while (run_hash_key(at->run, strid_bytes_of_text(key)) >> 56 != vshard);
    return key;
}

/* The cache takes in the vshard that a worker is in the middle of: it goes on with the next one of
 * its own, and leaves those between to the worker that they belong to. */
Test(ttl, vshard_that_was_loaded_meanwhile_ends_its_sweep)
{
    struct runtime_case at;
    struct script script;
    char first[16], own[16], other[16];
    uint32_t number = 0;
    begin(&at, &script);
    at.definition->workers = 2;
    at.options.vshards_used = 3; /* 0 and 2 are the first worker's, 1 is the second's */
    runtime_case_start(&at);
    push_many(&at, MANY);
    runtime_case_start(&at);
    struct worker_sweep *sweep = &at.run->workers[0].sweep;
    sweep->next_ms = at.run->workers[1].sweep.next_ms = INT64_MAX;
    pass_ms(&at, TTL_MS);
    cr_assert_eq(handle(&at, &script, key_of_vshard(&at, 1, &number, other)), 0, "it expired");
    turn(&at, 100);
    (void)handle(&at, &script, key_of_vshard(&at, 2, &number, first)); /* its stores are known */
    sweep->next_ms = 0;
    turn(&at, 1);
    cr_assert(sweep->vshard == 0 && sweep->from.len > 0, "in the middle of a vshard");
    number = MANY; /* one that was never there, so that nothing of it is in the cache */
    cr_assert_eq(handle(&at, &script, key_of_vshard(&at, 0, &number, own)), 0);
    cr_assert(cache_is_complete(&at.run->workers[0].cache, 0), "which was loaded as a whole");
    turn(&at, 1000);
    cr_assert_not(sweep->running);
    runtime_case_start(&at);
    cr_assert_eq(handle(&at, &script, other), 1, "what was written anew is there");
    runtime_case_fini(&at);
}

Test(ttl, sweeping_ends_and_rests)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    push_many(&at, 10);
    turn(&at, 600);
    int work = 0;
    for (int i = 0; i < 300; i++)
        work += runtime_case_turn(&at);
    cr_assert_eq(work, 0, "an idle engine is idle");
    runtime_case_fini(&at);
}

Test(ttl, busy_worker_sweeps_between_chunks)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    at.options.chunk_records = 1;
    runtime_case_start(&at);
    push_many(&at, 200);
    pass_ms(&at, TTL_MS);
    script.only_reads = true;
    const struct worker *worker = &at.run->workers[0];
    for (int i = 0; i < 5000 && worker->cache.dirty_count == 0; i++) {
        runtime_case_push(&at, "another", "v");
        runtime_case_push(&at, "another", "v");
        turn(&at, 1);
    }
    cr_assert_gt(worker->cache.dirty_count, 0);
    runtime_case_fini(&at);
}

Test(ttl, bad_times_to_live_are_refused)
{
    struct runtime_case at;
    struct script script;
    strid_error err = STRID_ERROR_INIT;
    begin(&at, &script);
    cr_assert_eq(definition_set_ttl(at.definition, at.counts, -2, &err), STRID_ECONFIG);
    cr_assert(strstr(err.message, "counts") != NULL, "%s", err.message);
    cr_assert_eq(definition_set_ttl(at.definition, at.counts, DEFINITION_TTL_MAX_MS + 1, &err),
                 STRID_ECONFIG);
    cr_assert_eq(definition_set_ttl(at.definition, at.counts, DEFINITION_TTL_MAX_MS, &err),
                 STRID_OK);
    runtime_case_fini(&at);
}

Test(ttl, store_options_of_the_interface)
{
    strid_error err = STRID_ERROR_INIT;
    strid_store store = 0, again = 0;
    strid_pipeline *pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "p", .source = "memory:in"},
        &err);
    strid_store_options options = {STRID_STORE_OPTIONS_INIT, .ttl_ms = 5};
    cr_assert_eq(strid_pipeline_add_store_with(pipeline, "s", &options, &store, &err), STRID_OK);
    cr_assert_eq(strid_pipeline_add_store(pipeline, "s", &again, &err), STRID_OK);
    cr_assert_eq(store, again);
    options.ttl_ms = -1;
    cr_assert_eq(strid_pipeline_add_store_with(pipeline, "s", &options, &store, &err),
                 STRID_ECONFIG);
    /* A header of before `ordered`, and one that knows more. */
    options = (strid_store_options){
        .struct_size = offsetof(strid_store_options, ordered), .ttl_ms = 7, .ordered = true};
    cr_assert_eq(strid_pipeline_add_store_with(pipeline, "old", &options, &again, &err), STRID_OK);
    cr_assert_eq(pipeline->definition->store_ttl_ms[again], 7);
    cr_assert_not(pipeline->definition->store_ordered[again], "not there to be read");
    options.struct_size = sizeof options + 1;
    cr_assert_eq(strid_pipeline_add_store_with(pipeline, "s", &options, &store, &err),
                 STRID_EINVAL);
    cr_assert_not_null(strstr(err.message, "not older"), "%s", err.message);
    options = (strid_store_options){.ttl_ms = 5};
    cr_assert_eq(strid_pipeline_add_store_with(pipeline, "s", &options, &store, &err),
                 STRID_EINVAL);
    cr_assert_eq(strid_pipeline_add_store_with(pipeline, "s", NULL, &store, &err), STRID_EINVAL);
    strid_pipeline_destroy(pipeline);
}
