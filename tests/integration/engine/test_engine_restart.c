/* A store that fails: the run closes it, opens it again and goes on from what is durable, and
 * counts every record once. This program's own store_find puts a failing store behind "memory:". */
#include <criterion/criterion.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "engine_case.h"
#include "state/store.h"
#include "unit/directory_case.h"

enum { RECORDS = 60000 };

enum call { CALL_APPLY, CALL_SYNC, CALL_LOAD, CALL_COUNT };

/* Which call fails next; after a failure all writes fail until the store is opened again. */
static struct {
    _Atomic int64_t calls[CALL_COUNT];
    _Atomic int64_t fail_at[CALL_COUNT]; /* 0: never */
    bool applies_first;                  /* a write that fails takes effect all the same */
    _Atomic bool broken;
    _Atomic uint32_t opens, opens_failing;
} faults;

static strid_status fault(enum call call, strid_error *err)
{
    int64_t number = atomic_fetch_add(&faults.calls[call], 1) + 1;
    if (number == faults.fail_at[call])
        faults.broken = true;
    return faults.broken ? error_set(err, STRID_ESTORE, "store", "the disk is gone") : STRID_OK;
}

static strid_status faulty_open(const struct store_config *config, struct store **out,
                                strid_error *err)
{
    if (++faults.opens > 1 && faults.opens_failing > 0) {
        faults.opens_failing--;
        return error_set(err, STRID_EIO, "store", "the disk is still gone");
    }
    faults.broken = false;
    return directory_case_ops.open(config, out, err);
}

static strid_status faulty_apply(struct store *store, const struct store_op *ops, size_t count,
                                 strid_error *err)
{
    bool was_broken = faults.broken;
    strid_status status = fault(CALL_APPLY, err);
    if (status == STRID_OK || (!was_broken && faults.applies_first))
        (void)directory_case_ops.apply(store, ops, count, NULL);
    return status;
}

static strid_status faulty_sync(struct store *store, strid_error *err)
{
    (void)store;
    return fault(CALL_SYNC, err);
}

static strid_status faulty_bulk_load(struct store *store, store_next_fn next, void *user,
                                     strid_error *err)
{
    strid_status status = fault(CALL_LOAD, err);
    return status == STRID_OK ? directory_case_ops.bulk_load(store, next, user, err) : status;
}

const struct store_ops *store_find(const char *url, const char **path)
{
    static struct store_ops ops;
    ops = directory_case_ops;
    ops.open = faulty_open;
    ops.apply = faulty_apply;
    ops.sync = faulty_sync;
    ops.bulk_load = faulty_bulk_load;
    if (path != NULL)
        *path = "";
    return strncmp(url, "memory:", 7) == 0 ? &ops : NULL;
}

/* The engine's clock goes ahead by so much. */
static _Atomic int64_t ahead_s;

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    int result = __real_clock_gettime(id, now);
    if (id == CLOCK_MONOTONIC)
        now->tv_sec += ahead_s;
    return result;
}

static void run_with_faults(struct engine_case *at, uint32_t restarts)
{
    engine_case_init(at);
    (void)snprintf(at->state, sizeof at->state, "memory:");
    engine_case_append(at->input, 0, RECORDS, 3000);
    engine_case_create(at, "jsonl", 3);
    engine_case_on(at, engine_case_count, at);
    STRID_CHECK_OK(engine_case_run(at), at->err);
    cr_assert_eq(engine_case_stats(at).restarts, restarts, "%u restarts",
                 (unsigned)engine_case_stats(at).restarts);
    cr_assert_eq(engine_case_total(at, NULL), RECORDS);
    cr_assert_geq(atomic_load(&at->logs), restarts, "each is told");
    engine_case_fini(at);
}

Test(engine_restart, failed_write_of_a_block)
{
    struct engine_case at;
    faults.fail_at[CALL_APPLY] = 4; /* the directory and the run are written before */
    run_with_faults(&at, 1);
}

/* The outcome of a write that failed is unknown: here it was written. */
Test(engine_restart, failed_write_that_took_effect)
{
    struct engine_case at;
    faults.fail_at[CALL_APPLY] = 3;
    faults.applies_first = true;
    run_with_faults(&at, 1);
}

Test(engine_restart, failed_sync)
{
    struct engine_case at;
    faults.fail_at[CALL_SYNC] = 3;
    run_with_faults(&at, 1);
}

Test(engine_restart, store_that_cannot_be_opened_for_a_while_is_tried_again)
{
    struct engine_case at;
    faults.fail_at[CALL_APPLY] = 3;
    faults.opens_failing = 2;
    run_with_faults(&at, 3);
    cr_assert_not_null(strstr(at.last_log, "nothing is lost"), "%s", at.last_log);
}

/* In the first run behind the failures: the disk is gone again, some time later. */
struct later {
    struct engine_case at;
    int64_t after_s;
    atomic_flag came;
};

static strid_outcome fail_later(strid_context *ctx, const strid_record *record, void *user)
{
    struct later *later = user;
    if (faults.opens > 1 && !atomic_flag_test_and_set(&later->came)) {
        ahead_s += later->after_s;
        faults.broken = true;
    }
    return engine_case_count(ctx, record, &later->at);
}

static void check_pause(int64_t after_s, const char *told)
{
    struct later later = {.after_s = after_s, .came = ATOMIC_FLAG_INIT};
    faults.fail_at[CALL_APPLY] = 3;
    faults.opens_failing = 2;
    engine_case_init(&later.at);
    (void)snprintf(later.at.state, sizeof later.at.state, "memory:");
    engine_case_append(later.at.input, 0, RECORDS, 3000);
    engine_case_create(&later.at, "jsonl", 3);
    engine_case_on(&later.at, fail_later, &later);
    STRID_CHECK_OK(engine_case_run(&later.at), later.at.err);
    cr_assert_eq(engine_case_stats(&later.at).restarts, 4u);
    cr_assert_not_null(strstr(later.at.last_log, told), "%s", later.at.last_log);
    engine_case_fini(&later.at);
}

Test(engine_restart, pause_grows_while_failures_follow_each_other)
{
    check_pause(20, "opened again in 800 ms");
}

Test(engine_restart, pause_is_short_again_when_all_was_well_for_long)
{
    check_pause(60, "opened again in 100 ms");
}

Test(engine_restart, store_that_cannot_be_opened_at_first_ends_the_run)
{
    struct engine_case at;
    engine_case_init(&at);
    (void)snprintf(at.state, sizeof at.state, "memory:");
    engine_case_append(at.input, 0, 10, 10);
    faults.opens = 1;
    faults.opens_failing = 1;
    engine_case_create(&at, "jsonl", 1);
    engine_case_on(&at, engine_case_count, &at);
    cr_assert_eq(engine_case_run(&at), STRID_EIO, "%s", at.err.message);
    cr_assert_eq(engine_case_stats(&at).restarts, 0);
    engine_case_fini(&at);
}
