/* Subkeys as handlers see them, and the stores that the engine keeps for itself: the engine on one
 * thread, over a store in memory. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/worker_store.h"
#include "runtime_case.h"

enum { MANY = 500, ENGINE_STORE = KEY_STORE_ENGINE + 3 };

struct script {
    struct runtime_case *at;
    strid_store ordered;
    strid_outcome (*act)(struct script *script, strid_context *ctx);
    uint32_t calls;
    char seen[8192]; /* of the last scan: "subkey=value " ... */
    uint32_t seen_count, stop_after;
    strid_context *ctx;
};

static strid_outcome call(strid_context *ctx, const strid_record *record, void *user)
{
    struct script *script = user;
    (void)record;
    script->ctx = ctx;
    script->calls++;
    return script->act(script, ctx);
}

static void begin(struct runtime_case *at, struct script *script)
{
    strid_error err = STRID_ERROR_INIT;
    *script = (struct script){.at = at};
    runtime_case_init(at, call, script);
    cr_assert_eq(definition_add_store(at->definition, "ordered", &script->ordered, &err), STRID_OK);
    at->definition->store_ordered[script->ordered] = true;
    runtime_case_start(at);
}

static void turn(struct runtime_case *at, int turns)
{
    for (int i = 0; i < turns; i++)
        (void)runtime_case_turn(at);
    cr_assert_not(run_failed(at->run), "%s", at->run->error.message);
}

static void handle(struct script *script, const char *key,
                   strid_outcome (*act)(struct script *script, strid_context *ctx))
{
    script->act = act;
    script->calls = 0;
    runtime_case_push(script->at, key, "v");
    for (int i = 0; i < 100 && script->calls == 0; i++)
        turn(script->at, 1);
    cr_assert(script->calls > 0);
}

/* All of it sealed and materialised by a new run, whose cache is empty. */
static void restart(struct script *script)
{
    turn(script->at, 300);
    runtime_case_start(script->at);
    script->at->run->state_may_fit = false;
}

static strid_bytes text(const char *bytes) { return strid_bytes_of_text(bytes); }

static void put(struct script *script, const char *subkey, int64_t value)
{
    cr_assert_eq(strid_state_put_sub_i64(script->ctx, script->ordered, text(subkey), value),
                 STRID_OK);
}

static bool see(void *user, strid_bytes subkey, strid_state_kind kind, strid_bytes value)
{
    struct script *script = user;
    int64_t number = 0;
    cr_assert_eq(kind, STRID_STATE_I64);
    memcpy(&number, value.data, sizeof number);
    size_t used = strlen(script->seen);
    if (script->seen_count++ < 100)
        (void)snprintf(script->seen + used, sizeof script->seen - used, "%.*s=%lld ",
                       (int)subkey.len, (const char *)subkey.data, (long long)number);
    return script->seen_count != script->stop_after;
}

static const char *scan(struct script *script, const char *from, const char *to)
{
    script->seen[0] = '\0';
    script->seen_count = 0;
    cr_assert_eq(strid_state_scan(script->ctx, script->ordered, text(from),
                                  to == NULL ? strid_bytes_of(NULL, 0) : text(to), see, script),
                 STRID_OK);
    return script->seen;
}

static strid_outcome put_some(struct script *script, strid_context *ctx)
{
    put(script, "b", 1);
    put(script, "d", 2);
    put(script, "f", 3);
    strid_state_put_i64(ctx, script->at->counts, 9);
    cr_assert_eq(strid_state_put(ctx, script->ordered, text("plain")), STRID_OK);
    return STRID_DONE;
}

static strid_outcome change_some(struct script *script, strid_context *ctx)
{
    cr_assert_str_eq(scan(script, "", NULL), "b=1 d=2 f=3 ");
    put(script, "a", 4);
    put(script, "f", 5);
    cr_assert_eq(strid_state_delete_sub(ctx, script->ordered, text("b")), STRID_OK);
    return STRID_DONE;
}

static strid_outcome look(struct script *script, strid_context *ctx)
{
    cr_assert_str_eq(scan(script, "", NULL), "a=4 d=2 f=5 ");
    put(script, "c", 6);
    put(script, "d", 7);
    cr_assert_eq(strid_state_delete_sub(ctx, script->ordered, text("f")), STRID_OK);
    cr_assert_str_eq(scan(script, "", NULL), "a=4 c=6 d=7 ", "writes of the record are seen");
    cr_assert_str_eq(scan(script, "b", "d"), "c=6 ");
    cr_assert_str_eq(scan(script, "a", "aa"), "a=4 ");
    cr_assert_str_eq(scan(script, "d", "b"), "", "an empty range");
    cr_assert_str_eq(scan(script, "x", NULL), "");
    script->stop_after = 2;
    cr_assert_str_eq(scan(script, "", NULL), "a=4 c=6 ");
    script->stop_after = 0;
    cr_assert_eq(strid_state_get_sub_i64(ctx, script->ordered, text("d"), -1), 7);
    cr_assert_eq(strid_state_get_sub_i64(ctx, script->ordered, text("f"), -1), -1);
    cr_assert_eq(strid_state_get_sub_i64(ctx, script->ordered, text("a"), -1), 4);
    strid_bytes value;
    cr_assert_eq(strid_state_get(ctx, script->ordered, &value), STRID_STATE_BYTES);
    cr_assert(strid_bytes_equal(value, text("plain")), "the plain value is another one");
    return STRID_SKIP;
}

Test(subkey_state, write_set_cache_and_store_are_one)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    handle(&script, "k", put_some);
    restart(&script); /* b, d, f are in the store alone */
    handle(&script, "k", change_some);
    handle(&script, "k", look); /* a, f and the deletion of b lie in the cache alone */
    turn(&at, 300);
    handle(&script, "k", look);
    restart(&script);
    handle(&script, "k", look);
    restart(&script);
    at.run->state_may_fit = true; /* and with the whole vshard in the cache */
    handle(&script, "k", look);
    runtime_case_fini(&at);
}

static strid_outcome put_large(struct script *script, strid_context *ctx)
{
    enum { LARGE = 9 << 20 };
    uint8_t *value = calloc(1, LARGE);
    cr_assert_not_null(value);
    cr_assert_eq(strid_state_put(ctx, script->ordered, strid_bytes_of(value, LARGE)), STRID_OK);
    free(value);
    return STRID_DONE;
}

static strid_outcome look_at_large(struct script *script, strid_context *ctx)
{
    strid_bytes value;
    cr_assert_eq(strid_state_get(ctx, script->ordered, &value), STRID_STATE_BYTES);
    return STRID_DONE;
}

static strid_outcome look_at_none(struct script *script, strid_context *ctx)
{
    strid_bytes value;
    cr_assert_eq(strid_state_get(ctx, script->ordered, &value), STRID_STATE_ABSENT);
    return STRID_DONE;
}

Test(large_state, a_chunk_does_not_wait_for_all_vshards)
{
    static const char *const keys[] = {"a", "b", "c"};
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    at.definition->memory_bytes = UINT64_C(16) << 30;
    runtime_case_start(&at);
    for (int i = 0; i < 3; i++)
        handle(&script, keys[i], put_large);
    restart(&script);
    at.run->state_may_fit = true;
    handle(&script, "x", look_at_none); /* the route learns which store its records need */
    runtime_case_push(&at, "a", "v");
    runtime_case_push(&at, "b", "v");
    handle(&script, "c", look_at_large);
    cr_assert_eq(script.calls, 3, "in one part of a chunk");
    cr_assert_eq(at.run->workers[0].loaded_vshards, 1);
    handle(&script, "d", look_at_none);
    cr_assert_eq(at.run->workers[0].loaded_vshards, 2, "the next chunk goes on");
    runtime_case_fini(&at);
}

static strid_outcome look_at_nothing(struct script *script, strid_context *ctx)
{
    (void)ctx;
    cr_assert_str_eq(scan(script, "", NULL), "");
    return STRID_DONE;
}

Test(subkey_state, other_keys_do_not_see_them)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    handle(&script, "k", put_some);
    handle(&script, "kb", look_at_nothing);
    restart(&script);
    handle(&script, "kb", look_at_nothing);
    runtime_case_fini(&at);
}

static strid_outcome try_bad(struct script *script, strid_context *ctx)
{
    static uint8_t longest[STRID_SUBKEY_MAX + 1];
    strid_bytes allowed = strid_bytes_of(longest, STRID_SUBKEY_MAX);
    strid_bytes too_long = strid_bytes_of(longest, sizeof longest), value;
    strid_store counts = script->at->counts, ordered = script->ordered;
    cr_assert_eq(strid_state_put_sub(ctx, counts, text("a"), text("v")), STRID_EUNSUPPORTED);
    cr_assert_eq(strid_state_delete_sub(ctx, counts, text("a")), STRID_EUNSUPPORTED);
    cr_assert_eq(strid_state_scan(ctx, counts, text(""), text("b"), see, script),
                 STRID_EUNSUPPORTED);
    cr_assert_eq(strid_state_get_sub(ctx, counts, text("a"), &value), STRID_STATE_ABSENT);
    cr_assert_eq(strid_state_put_sub(ctx, ordered, text(""), text("v")), STRID_EINVAL);
    cr_assert_eq(strid_state_put_sub(ctx, ordered, too_long, text("v")), STRID_ELIMIT);
    cr_assert_eq(strid_state_scan(ctx, ordered, too_long, text(""), see, script), STRID_ELIMIT);
    cr_assert_eq(strid_state_put_sub(ctx, ordered, text("a"),
                                     strid_bytes_of(longest, STRID_STATE_VALUE_MAX + 1u)),
                 STRID_ELIMIT);
    cr_assert_str_eq(scan(script, "", NULL), "", "nothing was written");
    cr_assert_eq(strid_state_put_sub(ctx, ordered, allowed, text("v")), STRID_OK);
    cr_assert_eq(strid_state_get_sub(ctx, ordered, allowed, &value), STRID_STATE_BYTES);
    return STRID_DONE;
}

Test(subkey_state, what_cannot_be_is_refused)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    handle(&script, "k", try_bad);
    runtime_case_fini(&at);
}

static strid_outcome retry_once(struct script *script, strid_context *ctx)
{
    cr_assert_str_eq(scan(script, "", NULL), "", "an attempt that failed left something");
    put(script, "a", 1);
    return strid_attempt(ctx) == 0 ? STRID_RETRY : STRID_SKIP;
}

Test(subkey_state, writes_of_a_failed_attempt_are_dropped)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    handle(&script, "k", retry_once);
    turn(&at, 300); /* for the pause between two attempts */
    handle(&script, "k", look_at_nothing);
    runtime_case_fini(&at);
}

static strid_outcome put_many(struct script *script, strid_context *ctx)
{
    char subkey[16];
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < MANY; i++) {
            (void)snprintf(subkey, sizeof subkey, "%u", (i * 7) % MANY);
            put(script, subkey, i + round);
        }
    for (uint32_t i = 0; i < MANY; i++) {
        (void)snprintf(subkey, sizeof subkey, "%u", (i * 7) % MANY);
        cr_assert_eq(strid_state_get_sub_i64(ctx, script->ordered, text(subkey), -1), i + 1);
    }
    (void)scan(script, "", NULL);
    cr_assert_eq(script->seen_count, MANY);
    return STRID_DONE;
}

static strid_outcome count_many(struct script *script, strid_context *ctx)
{
    (void)ctx;
    (void)scan(script, "", NULL);
    cr_assert_eq(script->seen_count, MANY);
    return STRID_SKIP;
}

Test(subkey_state, one_record_writes_many)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    handle(&script, "k", put_many);
    handle(&script, "k2", put_many);
    handle(&script, "k", count_many);
    restart(&script);
    handle(&script, "k2", count_many);
    runtime_case_fini(&at);
}

Test(subkey_state, order_of_a_store_with_state_cannot_change)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    at.definition->store_ordered[script.ordered] = false;
    runtime_case_start(&at); /* there is no state yet */
    at.definition->store_ordered[script.ordered] = true;
    runtime_case_start(&at);
    handle(&script, "k", put_some);
    turn(&at, 300);
    run_destroy(at.run);
    at.run = NULL;
    at.definition->store_ordered[script.ordered] = false;
    cr_assert_eq(run_create(&at.options, &at.run, &at.store.err), STRID_ESTATE);
    cr_assert_not_null(strstr(at.store.err.message, "store \"ordered\" ordered"), "%s",
                       at.store.err.message);
    at.definition->store_ordered[script.ordered] = true;
    runtime_case_start(&at);
    runtime_case_fini(&at);
}

static struct worker_store_key engine_key(uint32_t hash, const char *key, const char *subkey)
{
    return (struct worker_store_key){
        .store = ENGINE_STORE, .hash = hash, .key = text(key), .subkey = text(subkey)};
}

static void put_engine(struct worker *worker, uint32_t hash, const char *key, const char *subkey,
                       int64_t number)
{
    struct worker_store_key at = engine_key(hash, key, subkey);
    worker_store_put(worker, &at,
                     &(struct key_value){.kind = STRID_STATE_I64,
                                         .bytes = strid_bytes_of(&number, sizeof number)});
}

struct tally {
    uint32_t count;
    int64_t sum;
};

static bool add_up(void *user, const struct key_state *key, const struct key_value *value)
{
    struct tally *tally = user;
    int64_t number = 0;
    cr_assert_eq(key->store & ~KEY_STORE_KEYLESS, ENGINE_STORE);
    memcpy(&number, value->bytes.data, sizeof number);
    tally->count++;
    tally->sum += number;
    return true;
}

static void check_engine(struct worker *worker, const char *expected, int64_t sum)
{
    struct script script = {0};
    struct worker_store_key key = engine_key(0x01000001, "k", "");
    cr_assert(worker_store_scan(worker, &key, text(""), strid_bytes_of(NULL, 0), see, &script));
    cr_assert_str_eq(script.seen, expected);
    struct tally tally = {0};
    cr_assert(worker_store_each(worker, ENGINE_STORE, add_up, &tally));
    cr_assert_eq(tally.sum, sum);
}

/* Without any record: a block is sealed for them all the same. */
Test(worker_store, entries_of_the_engine_outlive_the_run)
{
    struct runtime_case at;
    struct script script;
    begin(&at, &script);
    put_engine(at.run->workers, 0x01000001, "k", "b", 1);
    put_engine(at.run->workers, 0x01000001, "k", "a", 2);
    put_engine(at.run->workers, 0x01000001, "k", "", 4);
    put_engine(at.run->workers, 0xff000001, "other", "x", 8);
    check_engine(at.run->workers, "a=2 b=1 ", 15);
    restart(&script);
    check_engine(at.run->workers, "a=2 b=1 ", 15);
    struct worker_store_key key = engine_key(0x01000001, "k", "a");
    worker_store_delete(at.run->workers, &key);
    put_engine(at.run->workers, 0x01000001, "k", "c", 16);
    check_engine(at.run->workers, "b=1 c=16 ", 29);
    struct key_value value;
    cr_assert(worker_store_get(at.run->workers, &key, &value) && value.kind == STRID_STATE_ABSENT);
    key = engine_key(0x01000001, "k", "");
    cr_assert(worker_store_get(at.run->workers, &key, &value) && value.kind == STRID_STATE_I64);
    key = engine_key(0x02000001, "unknown", "x");
    cr_assert(worker_store_get(at.run->workers, &key, &value) && value.kind == STRID_STATE_ABSENT);
    restart(&script);
    check_engine(at.run->workers, "b=1 c=16 ", 29);
    runtime_case_fini(&at);
}
