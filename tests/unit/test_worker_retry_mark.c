#include <criterion/criterion.h>

#include "runtime/worker_retry.h"
#include "runtime/worker_retry_mark.h"
#include "state/meta.h"

#include "runtime_case.h"

enum { SEALED = 30 /* turns */ };

struct script {
    struct runtime_case at;
    uint32_t calls, failures; /* the next so many calls fail */
};

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    struct script *script = user;
    (void)record;
    script->calls++;
    strid_state_put_i64(ctx, script->at.counts, 1);
    if (script->failures == 0)
        return STRID_DONE;
    script->failures--;
    return STRID_RETRY;
}

/* How often the start of a run looked through a vshard for heads. */
static uint32_t looks;

static strid_status scan(struct store *store, strid_bytes from, strid_bytes to, store_scan_fn fn,
                         void *user, strid_error *err)
{
    looks += from.len == 3 && from.data[0] == 's' &&
             (from.data[2] & KEY_STORE_MAX) == WORKER_RETRY_HEAD_STORE;
    return directory_case_ops.scan(store, from, to, fn, user, err);
}

static struct store_ops counting_ops;

static void start(struct script *script)
{
    runtime_case_start(&script->at);
    looks = 0;
}

static void begin(struct script *script)
{
    counting_ops = directory_case_ops;
    counting_ops.scan = scan;
    runtime_case_init(&script->at, handle, script);
    struct retry_definition *retry = &script->at.definition->retry;
    script->at.options.store_ops = &counting_ops;
    retry->step_count = 1;
    retry->steps_ms[0] = 100;
    start(script);
}

static void turn(struct script *script, int turns)
{
    for (int i = 0; i < turns; i++)
        (void)runtime_case_turn(&script->at);
    cr_assert_not(run_failed(script->at.run), "%s", script->at.run->error.message);
}

static void push(struct script *script, const char *key)
{
    runtime_case_push(&script->at, key, "1");
}

static void finish(struct script *script)
{
    runtime_case_push_end(&script->at);
    cr_assert(runtime_case_finish(&script->at), "%s", script->at.run->error.message);
    runtime_case_fini(&script->at);
}

/* As the stores say it, over all workers. */
static uint32_t marked(struct script *script)
{
    uint32_t count = 0;
    for (uint32_t w = 0; w < script->at.run->worker_count; w++) {
        uint64_t vshards[KEY_VSHARDS / 64];
        cr_assert(
            worker_store_marked(&script->at.run->workers[w], WORKER_RETRY_MARK_STORE, vshards));
        for (uint32_t i = 0; i < KEY_VSHARDS / 64; i++)
            count += (uint32_t)__builtin_popcountll(vshards[i]);
    }
    return count;
}

static uint64_t waiting(const struct script *script)
{
    uint64_t count = 0;
    for (uint32_t w = 0; w < script->at.run->worker_count; w++)
        count += script->at.run->workers[w].retry.waiting.count;
    return count;
}

Test(worker_retry_mark, a_start_looks_only_where_keys_wait)
{
    struct script script = {.failures = 2};
    begin(&script);
    push(&script, "a");
    push(&script, "b");
    push(&script, "c");
    turn(&script, SEALED);
    cr_assert_eq(waiting(&script), 2);
    cr_assert_eq(marked(&script), 2);
    start(&script);
    turn(&script, 1);
    cr_assert_eq(waiting(&script), 2);
    cr_assert_eq(looks, 2 * 2, "keyless ones too, in two vshards of 256");
    script.at.definition->workers = 3;
    start(&script);
    turn(&script, 1);
    cr_assert_eq(waiting(&script), 2);
    cr_assert_eq(looks, 2 * 2);
    finish(&script);
}

Test(worker_retry_mark, it_goes_with_the_last_key_that_waits_there)
{
    struct script script = {.failures = 1};
    begin(&script);
    push(&script, "a");
    push(&script, "a"); /* parked */
    turn(&script, SEALED);
    cr_assert_eq(marked(&script), 1);
    turn(&script, 100 + SEALED);
    cr_assert_eq(script.calls, 3);
    cr_assert_eq(marked(&script), 0);
    start(&script);
    turn(&script, 1);
    cr_assert_eq(looks, 0, "there is state, and nothing waits");
    script.failures = 1; /* again, of a vshard that was marked before */
    push(&script, "a");
    turn(&script, SEALED);
    cr_assert_eq(marked(&script), 1);
    start(&script);
    turn(&script, 1);
    cr_assert_eq(waiting(&script), 1);
    finish(&script);
}

Test(worker_retry_mark, what_no_block_held_is_not_marked)
{
    struct script script = {.failures = 1};
    begin(&script);
    turn(&script, 1);
    push(&script, "a");
    turn(&script, 1);
    cr_assert(waiting(&script) == 1 && marked(&script) == 0);
    start(&script);
    turn(&script, 1);
    cr_assert(waiting(&script) == 0 && marked(&script) == 0);
    finish(&script);
}

/* Of one that a version made which knew of no marks, and did not say so. */
static void make_old(void)
{
    struct buffer value = {0};
    const uint32_t format = DIRECTORY_FORMAT_OLDEST;
    cr_assert(directory_case_get(strid_bytes_of_text("m/directory"), &value));
    memcpy(value.data, &format, sizeof format);
    value.len -= sizeof(uint32_t) + sizeof(uint8_t);
    meta_value_end(&value);
    directory_case_put(strid_bytes_of_text("m/directory"), buffer_bytes(&value));
    buffer_fini(&value);
}

Test(worker_retry_mark, a_directory_of_format_2_is_looked_through_in_every_run)
{
    struct script script = {.failures = 2};
    begin(&script);
    make_old();
    start(&script);
    push(&script, "a");
    push(&script, "b");
    turn(&script, SEALED);
    cr_assert_eq(waiting(&script), 2);
    cr_assert_eq(marked(&script), 0);
    for (int again = 0; again < 2; again++) {
        start(&script);
        cr_assert_eq(script.at.run->directory->format, DIRECTORY_FORMAT);
        cr_assert_not(script.at.run->directory->has_marks);
        turn(&script, 1);
        cr_assert_eq(waiting(&script), 2);
        cr_assert_eq(looks, 2 * KEY_VSHARDS);
    }
    turn(&script, 100 + SEALED);
    cr_assert_eq(script.calls, 4);
    cr_assert_eq(waiting(&script), 0);
    finish(&script);
}
