/* Moving where a stopped node goes on: low position, progress and fingerprint of some partitions in
 * one write, and nothing else. */
#include <criterion/criterion.h>

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "directory_case.h"
#include "state/block.h"
#include "state/directory_move.h"

static struct directory_case at;
static uint8_t worker_of[KEY_VSHARDS];

static struct directory_partition *partition(const char *name)
{
    return directory_partition(at.directory, name);
}

/* Two partitions with progress and fingerprints; a run without agents has begun. */
static void begin(void)
{
    struct batch batch = {0};
    directory_case_init(&at);
    directory_case_run(&at, 1);
    directory_case_block(
        &at, &(struct directory_case_block){.number = 1, .position = 90, .key = "a", .value = 7});
    directory_put_low(&batch, 0, (strid_position){0, 80}, 1);
    cr_assert_eq(batch_apply(&batch, at.directory->ops, at.directory->store, &at.err), STRID_OK);
    batch_fini(&batch);
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    for (int i = 0; i < 2; i++) {
        struct directory_partition *found = partition(i == 0 ? "partition" : "other");
        memcpy(found->fingerprint, "finger", 6);
        found->fingerprint_len = 6;
    }
    struct directory_partition *other = partition("other");
    other->table = memory_alloc_zeroed(sizeof *other->table);
    other->table->known[0] = 1;
    other->table->applied[0] = (strid_position){0, 55};
    cr_assert_eq(directory_begin_run(at.directory, 1, worker_of, &at.err), STRID_OK, "%s",
                 at.err.message);
}

static void end(void) { directory_case_fini(&at); }

TestSuite(directory_move, .init = begin, .fini = end);

static strid_status move(uint64_t low, bool forget, struct buffer *block)
{
    struct directory_move moved = {.partition = partition("partition"), .low = {0, low}};
    return directory_move(at.directory, &moved, 1, forget, block, &at.err);
}

static void check_moved(uint64_t low, size_t fingerprint_len)
{
    const struct directory_partition *moved = partition("partition"), *other = partition("other");
    cr_assert(moved->has_low);
    cr_assert_eq(moved->low.low, low);
    cr_assert_null(moved->table, "nothing counts as applied");
    cr_assert_eq(moved->fingerprint_len, fingerprint_len);
    cr_assert_not(other->has_low);
    cr_assert_eq(other->table->applied[0].low, 55);
    cr_assert_eq(other->fingerprint_len, 6);
}

Test(directory_move, back_and_forth_and_nothing_else)
{
    static const uint64_t places[] = {0, 85, 200};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct buffer none = {0};
        cr_assert_eq(move(places[i], true, &none), STRID_OK, "%s", at.err.message);
        check_moved(places[i], 0);
        cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
        check_moved(places[i], 0);
        cr_assert_eq(directory_begin_run(at.directory, 1, worker_of, &at.err), STRID_OK);
    }
    cr_assert_eq(directory_case_value("a"), 7, "state stays");
}

Test(directory_move, fingerprint_stays_where_it_says_who_reads)
{
    struct buffer none = {0};
    cr_assert_eq(move(3, false, &none), STRID_OK, "%s", at.err.message);
    check_moved(3, 6);
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    check_moved(3, 6);
}

Test(directory_move, partition_that_was_never_read_gets_a_place)
{
    struct buffer none = {0};
    cr_assert_eq(directory_case_open(&at), STRID_OK);
    (void)partition("new");
    cr_assert_eq(directory_begin_run(at.directory, 1, worker_of, &at.err), STRID_OK);
    struct directory_move moved = {.partition = partition("new"), .low = {4, 2}};
    cr_assert_eq(directory_move(at.directory, &moved, 1, true, &none, &at.err), STRID_OK);
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    cr_assert(partition("new")->has_low);
    cr_assert(partition("new")->low.high == 4 && partition("new")->low.low == 2);
}

static void make_block(struct buffer *block)
{
    const int64_t value = 9;
    struct key_state key = {.hash = 0x05000000, .store = 1, .key = strid_bytes_of_text("b")};
    block_begin(block);
    block_put_state(block, &key,
                    &(struct key_value){.kind = STRID_STATE_I64,
                                        .bytes = strid_bytes_of(&value, sizeof value)});
    block_end(block, at.directory->run.run, 0, 1, 0, 1);
}

Test(directory_move, block_becomes_part_of_it)
{
    struct buffer block = {0};
    const uint64_t last = at.directory->last_number;
    make_block(&block);
    cr_assert_eq(move(5, true, &block), STRID_OK, "%s", at.err.message);
    cr_assert_eq(at.directory->last_number, last + 1);
    cr_assert_eq(at.directory->synced, last + 1);
    directory_case_run(&at, 2);
    check_moved(5, 0);
    cr_assert_eq(directory_case_value("b"), 9);
    cr_assert_eq(directory_case_value("a"), 7);
    buffer_fini(&block);
}

static strid_status fail_apply(struct store *store, const struct store_op *ops, size_t count,
                               strid_error *err)
{
    (void)store;
    (void)ops;
    (void)count;
    return error_set(err, STRID_ENOSPC, "store", "no room");
}

static strid_status fail_sync(struct store *store, strid_error *err)
{
    (void)store;
    return error_set(err, STRID_EIO, "store", "no sync");
}

Test(directory_move, failure_of_the_store_is_told_and_a_write_is_whole)
{
    struct buffer block = {0};
    struct store_ops failing = directory_case_ops;
    make_block(&block);
    failing.apply = fail_apply;
    at.directory->ops = &failing;
    cr_assert_eq(move(5, true, &block), STRID_ENOSPC);
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    cr_assert_eq(partition("partition")->low.low, 80);
    cr_assert_not_null(partition("partition")->table);
    cr_assert_eq(directory_case_count("b", "c"), 0);
    cr_assert_eq(directory_begin_run(at.directory, 1, worker_of, &at.err), STRID_OK);
    failing = directory_case_ops;
    failing.sync = fail_sync;
    at.directory->ops = &failing;
    buffer_clear(&block);
    make_block(&block);
    cr_assert_eq(move(5, true, &block), STRID_EIO);
    directory_case_run(&at, 1);
    check_moved(5, 0); /* what was written counts, as after any crash */
    cr_assert_eq(directory_case_value("b"), 9);
    buffer_fini(&block);
}
