/* Recovery: what a state directory makes of the blocks that it finds. */
#include <criterion/criterion.h>

#include <string.h>

#include "directory_case.h"
#include "state/block.h"

typedef struct directory_case_block block;

static void put(struct directory_case *at, block what) { directory_case_block(at, &what); }

static void flip(uint64_t number)
{
    uint8_t key[KEY_FIXED_MAX];
    struct buffer value = {0};
    strid_bytes name = strid_bytes_of(key, key_put_block(key, number));
    cr_assert(directory_case_get(name, &value));
    value.data[value.len - 1] ^= 1;
    directory_case_put(name, buffer_bytes(&value));
    buffer_fini(&value);
}

static void drop(uint64_t number)
{
    uint8_t key[KEY_FIXED_MAX];
    directory_case_put(strid_bytes_of(key, key_put_block(key, number)), strid_bytes_of(NULL, 0));
}

static strid_position applied(struct directory_case *at, uint32_t vshard)
{
    const struct directory_table *table = directory_partition(at->directory, "partition")->table;
    if (table == NULL || (table->known[vshard / 8] >> (vshard & 7) & 1) == 0)
        return (strid_position){UINT64_MAX, UINT64_MAX};
    return table->applied[vshard];
}

Test(directory_blocks, are_read_and_materialised_in_order)
{
    struct directory_case at;
    directory_case_init(&at);
    directory_case_run(&at, 1);
    put(&at, (block){.number = 1, .position = 10, .key = "a", .value = 1});
    put(&at, (block){.number = 2, .position = 20, .key = "b", .value = 5});
    put(&at, (block){.number = 3, .position = 30, .key = "a", .value = 2});
    put(&at, (block){.number = 4, .position = 40, .key = "b", .value = INT64_MIN});
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    cr_assert_eq(at.directory->redo_blocks, 4);
    cr_assert_eq(at.directory->last_number, 4);
    cr_assert_eq(directory_case_value("a"), INT64_MIN, "opening changes nothing");
    directory_case_run(&at, 1);
    cr_assert_eq(directory_case_value("a"), 2);
    cr_assert_eq(directory_case_value("b"), INT64_MIN);
    cr_assert_eq(directory_case_count("b", "c"), 0);
    cr_assert_eq(at.directory->through, 4);
    cr_assert_not(at.directory->empty_state);
    for (uint32_t v = 0; v < KEY_VSHARDS; v++)
        cr_assert_eq(applied(&at, v).low, 40);
    directory_case_fini(&at);
}

Test(directory_blocks, reading_them_twice_changes_nothing)
{
    struct directory_case at;
    struct buffer block1 = {0}, through = {0};
    uint8_t key[KEY_FIXED_MAX];
    directory_case_init(&at);
    directory_case_run(&at, 1);
    put(&at, (block){.number = 1, .position = 10, .key = "a", .value = 1});
    strid_bytes name = strid_bytes_of(key, key_put_block(key, 1));
    strid_bytes through_name = strid_bytes_of_text("m/through");
    cr_assert(directory_case_get(name, &block1) && directory_case_get(through_name, &through));
    struct store_op op;
    cr_assert_eq(directory_case_open(&at), STRID_OK);
    fold_sort(at.directory->fold); /* as if a crash came after the ingest, before the deletion */
    cr_assert(fold_next(at.directory->fold, &op));
    directory_case_put(op.key, op.value);
    directory_case_run(&at, 1);
    cr_assert_eq(directory_case_value("a"), 1);
    cr_assert_eq(applied(&at, 0).low, 10);
    buffer_fini(&block1);
    buffer_fini(&through);
    directory_case_fini(&at);
}

Test(directory_blocks, progress_counts_for_the_vshards_of_its_worker)
{
    struct directory_case at;
    directory_case_init(&at);
    directory_case_run(&at, 2);
    put(&at, (block){.number = 1, .worker = 0, .position = 10});
    put(&at, (block){.number = 2, .worker = 1, .position = 7});
    directory_case_run(&at, 3); /* another worker count: the table carries it */
    for (uint32_t v = 0; v < KEY_VSHARDS; v++)
        cr_assert_eq(applied(&at, v).low, v % 2 == 0 ? 10 : 7, "vshard %u", v);
    put(&at, (block){.number = 3, .worker = 2, .position = 20});
    directory_case_run(&at, 1);
    for (uint32_t v = 0; v < KEY_VSHARDS; v++)
        cr_assert_eq(applied(&at, v).low, v % 3 == 2 ? 20 : v % 2 == 0 ? 10 : 7, "vshard %u", v);
    directory_case_fini(&at);
}

Test(directory_blocks, progress_that_left_the_blocks_counts)
{
    struct directory_case at;
    struct batch batch = {0};
    directory_case_init(&at);
    directory_case_run(&at, 2);
    put(&at, (block){.number = 1, .worker = 1, .position = 10, .key = "a", .value = 4});
    struct fold *fold = fold_create();
    struct buffer bytes = {0};
    struct block_view view;
    uint8_t key[KEY_FIXED_MAX];
    cr_assert(directory_case_get(strid_bytes_of(key, key_put_block(key, 1)), &bytes));
    cr_assert(fold_add(fold, buffer_bytes(&bytes), &view));
    directory_put_materialised(&batch, fold, 1, 1);
    cr_assert_eq(batch_apply(&batch, at.directory->ops, at.directory->store, &at.err), STRID_OK);
    cr_assert_eq(directory_case_count("b", "c"), 0);
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    cr_assert_eq(at.directory->through, 1);
    cr_assert_eq(at.directory->last_number, 1);
    cr_assert_eq(applied(&at, 1).low, 10);
    cr_assert_eq(applied(&at, 0).high, UINT64_MAX, "nothing applied by worker 0");
    directory_case_run(&at, 4); /* the number becomes part of the table */
    cr_assert_eq(directory_case_count("p\2", "p\3"), 0);
    cr_assert_eq(applied(&at, 1).low, 10);
    batch_fini(&batch);
    buffer_fini(&bytes);
    fold_destroy(fold);
    directory_case_fini(&at);
}

static void refused(struct directory_case *at, const char *says)
{
    cr_assert_eq(directory_case_open(at), STRID_ECORRUPT, "%s", at->err.message);
    cr_assert_not_null(strstr(at->err.message, says), "%s", at->err.message);
    cr_assert_not_null(strstr(at->err.message, "restore the directory from a backup"));
}

Test(directory_blocks, missing_or_damaged_one_that_was_synced_refuses)
{
    for (int damage = 0; damage < 2; damage++) {
        struct directory_case at;
        directory_case_init(&at);
        directory_case_run(&at, 1);
        for (uint64_t n = 1; n <= 4; n++) /* the fourth says that the third was synced */
            put(&at, (block){.number = n, .synced = n - 1, .position = n});
        if (damage == 0)
            drop(2);
        else
            flip(2);
        refused(&at, "block 2 is missing or damaged");
        directory_case_fini(&at);
    }
}

Test(directory_blocks, missing_ones_below_a_low_position_refuse)
{
    struct directory_case at;
    struct batch batch = {0};
    directory_case_init(&at);
    directory_case_run(&at, 1);
    directory_put_low(&batch, 0, (strid_position){0, 3}, 1);
    cr_assert_eq(batch_apply(&batch, &directory_case_ops, at.directory->store, &at.err), STRID_OK);
    refused(&at, "block 1 is missing or damaged");
    batch_fini(&batch);
    directory_case_fini(&at);
}

Test(directory_blocks, damaged_unsynced_tail_is_dropped_and_told)
{
    struct directory_case at;
    directory_case_init(&at);
    directory_case_run(&at, 1);
    put(&at, (block){.number = 1, .synced = 0, .position = 10, .key = "a", .value = 1});
    put(&at, (block){.number = 2, .synced = 1, .position = 20, .key = "a", .value = 2});
    put(&at, (block){.number = 3, .synced = 1, .position = 30, .key = "a", .value = 3});
    flip(2);
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    cr_assert_eq(at.directory->dropped, 2);
    cr_assert_eq(at.logs, 1);
    cr_assert_not_null(strstr(at.last_log, "block 2 is damaged and was never synced: 2 blocks "),
                       "%s", at.last_log);
    directory_case_run(&at, 1);
    cr_assert_eq(directory_case_value("a"), 1);
    cr_assert_eq(applied(&at, 0).low, 10);
    cr_assert_eq(directory_case_count("b", "c"), 0, "the dropped ones are gone");
    cr_assert_gt(at.directory->last_number, 2, "their numbers are not used again");
    directory_case_fini(&at);
}

Test(directory_blocks, block_of_an_unknown_run_refuses)
{
    struct directory_case at;
    directory_case_init(&at);
    directory_case_run(&at, 1);
    at.directory->run.run = 99;
    put(&at, (block){.number = 1, .position = 10});
    uint8_t worker_of[KEY_VSHARDS] = {0};
    cr_assert_eq(directory_case_open(&at), STRID_OK);
    cr_assert_eq(directory_begin_run(at.directory, 1, worker_of, &at.err), STRID_ECORRUPT);
    cr_assert_not_null(strstr(at.err.message, "run 99"));
    directory_case_fini(&at);
}

Test(directory_blocks, numbers_go_on_over_runs)
{
    struct directory_case at;
    directory_case_init(&at);
    directory_case_run(&at, 1);
    uint64_t run = at.directory->run.run;
    put(&at, (block){.number = 1, .position = 1});
    directory_case_run(&at, 1);
    cr_assert_eq(at.directory->run.run, run + 1);
    cr_assert_eq(at.directory->last_number, 1);
    put(&at, (block){.number = 2, .position = 2});
    directory_case_run(&at, 1);
    cr_assert_eq(at.directory->last_number, 2);
    cr_assert_eq(at.directory->synced, 2);
    cr_assert_eq(directory_case_count("m/run", "m/run0"), 1, "only the last run is recorded");
    directory_case_fini(&at);
}
