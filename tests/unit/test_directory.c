#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "directory_case.h"
#include "state/block.h"
#include "state/meta.h"

static strid_bytes text(const char *text) { return strid_bytes_of_text(text); }

Test(directory, fresh_one_is_made_with_seed_and_id)
{
    struct directory_case at;
    char id[DIRECTORY_ID_BYTES * 2 + 1];
    directory_case_init(&at);
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    cr_assert_eq(at.directory->seed, 42);
    cr_assert_eq(at.directory->last_number, 0);
    directory_format_id(at.directory, id);
    cr_assert_str_eq(id, "010203ff000000000000000000000000");
    cr_assert_eq(directory_case_count("m", "n"), 1);
    directory_case_fini(&at);
}

Test(directory, seed_and_id_of_an_old_one_stay)
{
    struct directory_case at;
    struct directory *directory = NULL;
    directory_case_init(&at);
    cr_assert_eq(directory_case_open(&at), STRID_OK);
    struct directory_options options = {.create = true, .new_seed = 43, .log = &at.log};
    cr_assert_eq(directory_open("case:x", &directory_case_ops, &options, &directory, &at.err),
                 STRID_OK);
    cr_assert(directory->seed == 42 && directory->id[3] == 0xff);
    directory_close(directory);
    directory_case_fini(&at);
}

Test(directory, is_not_made_for_a_reader)
{
    struct directory_case at;
    struct directory *directory = NULL;
    struct directory_options options = {.read_only = true};
    directory_case_init(&at);
    directory_case_put(text("x"), text("y")); /* so that the store is there */
    directory_case_put(text("x"), strid_bytes_of(NULL, 0));
    cr_assert_eq(directory_open("case:x", &directory_case_ops, &options, &directory, &at.err),
                 STRID_ENOTFOUND);
    cr_assert_eq(directory_case_count("", ""), 0);
    directory_case_fini(&at);
}

Test(directory, url_without_a_store_is_bad_configuration)
{
    struct directory *directory = NULL;
    strid_error err = STRID_ERROR_INIT;
    struct directory_options options = {.create = true};
    cr_assert_eq(directory_open("sql:x", NULL, &options, &directory, &err), STRID_ECONFIG);
    cr_assert_not_null(strstr(err.message, "rocksdb:DIRECTORY"));
}

static void check_refused(struct directory_case *at, strid_status status, const char *says)
{
    cr_assert_eq(directory_case_open(at), status, "%s", at->err.message);
    cr_assert_not_null(strstr(at->err.message, says), "%s", at->err.message);
    cr_assert_null(at->directory);
}

Test(directory, foreign_database_is_left_alone)
{
    static const char *const keys[] = {"a", "b", "s", "zebra", "m/other", "message"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct directory_case at;
        directory_case_init(&at);
        directory_case_put(text(keys[i]), text("of somebody else"));
        check_refused(&at, STRID_ESTATE, "not a state directory");
        cr_assert_eq(directory_case_count("m/directory", "m/directoryz"), 0);
        directory_case_fini(&at);
    }
}

/* A directory's own record with other contents than this program writes, or cut short. */
static void put_record(uint32_t format, uint32_t vshards, uint8_t scope, bool whole)
{
    struct buffer value = {0};
    meta_value_begin(&value);
    buffer_put_u32(&value, format);
    buffer_put_u32(&value, vshards);
    for (int i = 0; whole && i < 3; i++) /* seed, id */
        buffer_put_u64(&value, 0);
    if (whole)
        buffer_put_u8(&value, scope);
    if (whole && format > 3)
        buffer_put_u8(&value, 1); /* marks */
    meta_value_end(&value);
    directory_case_put(text("m/directory"), buffer_bytes(&value));
    buffer_fini(&value);
}

Test(directory, other_format_and_vshard_count_are_refused)
{
    static const char message[] = "case:test has format %u with %u vshards, this program reads "
                                  "formats 2 to 4 with 256; use the version that made it, or "
                                  "another directory";
    for (int other = 0; other < 3; other++) {
        struct directory_case at;
        char says[256];
        uint32_t format = other == 1 ? DIRECTORY_FORMAT : DIRECTORY_FORMAT + 1;
        uint32_t vshards = other == 1 ? KEY_VSHARDS * 2 : KEY_VSHARDS;
        directory_case_init(&at);
        put_record(format, vshards, 0, other < 2); /* a later format may hold something else */
        (void)snprintf(says, sizeof says, message, format, vshards);
        check_refused(&at, STRID_EVERSION, says);
        directory_case_fini(&at);
    }
}

/* What the store says of it, which opening does not change. */
static void check_format(struct directory_case *at, uint32_t format, bool has_marks)
{
    struct buffer value = {0};
    cr_assert_eq(directory_case_open(at), STRID_OK, "%s", at->err.message);
    cr_assert_eq(at->directory->format, format);
    cr_assert_eq(at->directory->has_marks, has_marks);
    cr_assert(directory_case_get(text("m/directory"), &value));
    struct cursor record = meta_value_read(buffer_bytes(&value));
    cr_assert_eq(cursor_u32(&record), format);
    buffer_fini(&value);
}

/* From its first run on an earlier version refuses it, by its number. */
Test(directory, older_formats_are_read_and_become_the_newest_with_a_run)
{
    for (uint32_t format = DIRECTORY_FORMAT_OLDEST; format < DIRECTORY_FORMAT; format++) {
        struct directory_case at;
        directory_case_init(&at);
        put_record(format, KEY_VSHARDS, DIRECTORY_SCOPE_GLOBAL, true);
        check_format(&at, format, format == 3);
        check_format(&at, format, format == 3);
        directory_case_run(&at, 1);
        cr_assert_not_null(strstr(at.last_log, "case:test had format"), "%s", at.last_log);
        check_format(&at, DIRECTORY_FORMAT, format == 3);
        at.logs = 0;
        directory_case_run(&at, 2);
        cr_assert_eq(at.logs, 0, "%s", at.last_log);
        check_format(&at, DIRECTORY_FORMAT, format == 3);
        directory_case_fini(&at);
    }
}

Test(directory, other_scope_is_refused)
{
    struct directory_case at;
    struct buffer value = {0};
    directory_case_init(&at);
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    cr_assert(directory_case_get(text("m/directory"), &value));
    struct cursor record = meta_value_read(buffer_bytes(&value));
    (void)cursor_bytes(&record, 4 + 4 + 8 + DIRECTORY_ID_BYTES);
    cr_assert_eq(cursor_u8(&record), DIRECTORY_SCOPE_GLOBAL);
    cr_assert_eq(cursor_u8(&record), 1, "marks");
    cr_assert(!record.failed && record.at == record.end);
    put_record(DIRECTORY_FORMAT, KEY_VSHARDS, 0, true);
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    put_record(DIRECTORY_FORMAT, KEY_VSHARDS, 1, true);
    check_refused(
        &at, STRID_ESTATE,
        "case:test keeps its state with scope 1, this pipeline with scope 0 (global); use "
        "the pipeline that made it, or another directory");
    put_record(DIRECTORY_FORMAT, KEY_VSHARDS, 0, false);
    check_refused(&at, STRID_ECORRUPT, "m/directory is damaged");
    buffer_fini(&value);
    directory_case_fini(&at);
}

/* Each meta value and progress key, one byte changed: told as damage, never taken for something. */
Test(directory, damaged_meta_is_refused)
{
    static const char *const keys[] = {"m/directory",
                                       "m/through",
                                       "m/run/\0\0\0\0\0\0\0\1",
                                       "m/store/store",
                                       "m/partition/partition",
                                       "m/low/\0\0\0\0",
                                       "p\1\0\0\0\0"};
    static const size_t lens[] = {11, 9, 14, 13, 21, 10, 6};
    struct directory_case at;
    struct batch batch = {0};
    directory_case_init(&at);
    directory_case_run(&at, 1);
    directory_case_block(&at, &(struct directory_case_block){.number = 1, .position = 9});
    directory_put_low(&batch, 0, (strid_position){0, 9}, 1);
    cr_assert_eq(batch_apply(&batch, at.directory->ops, at.directory->store, &at.err), STRID_OK);
    batch_fini(&batch);
    directory_case_run(&at, 1); /* makes the table */
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct buffer value = {0};
        strid_bytes key = strid_bytes_of(keys[i], lens[i]);
        if (i == 2)
            key.data = (const uint8_t *)"m/run/\0\0\0\0\0\0\0\2";
        cr_assert(directory_case_get(key, &value), "%s", keys[i]);
        value.data[0] ^= 1;
        directory_case_put(key, buffer_bytes(&value));
        check_refused(&at, STRID_ECORRUPT, "restore the directory from a backup");
        value.data[0] ^= 1;
        directory_case_put(key, buffer_bytes(&value));
        buffer_fini(&value);
        cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    }
    directory_case_fini(&at);
}

Test(directory, outline_is_kept_and_damage_to_it_refused)
{
    uint8_t worker_of[KEY_VSHARDS] = {0};
    struct directory_case at;
    struct buffer value = {0};
    directory_case_init(&at);
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    cr_assert_null(at.directory->outline);
    at.directory->outline = memory_copy_text("key a\n");
    cr_assert_eq(directory_begin_run(at.directory, 1, worker_of, &at.err), STRID_OK);
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    cr_assert_str_eq(at.directory->outline, "key a\n");
    cr_assert(at.directory->outline_stored);
    memory_free(at.directory->outline);
    at.directory->outline = memory_copy_text("key other\n");
    at.directory->outline_stored = false;
    cr_assert_eq(directory_begin_run(at.directory, 1, worker_of, &at.err), STRID_OK);
    cr_assert_eq(directory_case_open(&at), STRID_OK, "%s", at.err.message);
    cr_assert_str_eq(at.directory->outline, "key other\n");
    cr_assert(directory_case_get(text("m/outline"), &value));
    value.data[0] ^= 1;
    directory_case_put(text("m/outline"), buffer_bytes(&value));
    check_refused(&at, STRID_ECORRUPT, "the outline of the pipeline");
    buffer_fini(&value);
    directory_case_fini(&at);
}

Test(directory, partitions_and_stores_keep_their_numbers)
{
    struct directory_case at;
    uint8_t worker_of[KEY_VSHARDS] = {0}, number = 0;
    directory_case_init(&at);
    cr_assert_eq(directory_case_open(&at), STRID_OK);
    static const char *const names[] = {"b", "a/with/slashes", "c"};
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(directory_partition(at.directory, names[i])->number, i);
        cr_assert_eq(directory_store(at.directory, names[i], &number, &at.err), STRID_OK);
        cr_assert_eq(number, i + 1);
    }
    struct directory_partition *second = directory_partition(at.directory, names[1]);
    memcpy(second->fingerprint, "finger", 6);
    second->fingerprint_len = 6;
    cr_assert_eq(directory_begin_run(at.directory, 1, worker_of, &at.err), STRID_OK);
    cr_assert_eq(directory_case_open(&at), STRID_OK);
    cr_assert_eq(directory_find_store(at.directory, "nobody's"), 0);
    for (uint32_t i = 3; i > 0; i--) {
        cr_assert_eq(directory_partition(at.directory, names[i - 1])->number, i - 1);
        cr_assert(directory_partition(at.directory, names[i - 1])->stored);
        cr_assert_eq(directory_find_store(at.directory, names[i - 1]), i);
    }
    cr_assert_eq(directory_partition(at.directory, "new")->number, 3);
    second = directory_partition(at.directory, names[1]);
    cr_assert(second->fingerprint_len == 6 && memcmp(second->fingerprint, "finger", 6) == 0);
    directory_case_fini(&at);
}

Test(directory, stores_are_limited)
{
    struct directory_case at;
    uint8_t number = 0;
    char name[16];
    directory_case_init(&at);
    cr_assert_eq(directory_case_open(&at), STRID_OK);
    for (int i = 1; i <= DIRECTORY_STORES_MAX; i++) {
        (void)snprintf(name, sizeof name, "store-%d", i);
        cr_assert_eq(directory_store(at.directory, name, &number, &at.err), STRID_OK);
        cr_assert_eq(number, i);
    }
    cr_assert_eq(directory_store(at.directory, "one more", &number, &at.err), STRID_ELIMIT);
    cr_assert_eq(directory_store(at.directory, "store-7", &number, &at.err), STRID_OK);
    cr_assert_eq(number, 7);
    directory_case_fini(&at);
}

Test(directory, low_position_reads_back)
{
    struct directory_case at;
    struct batch batch = {0};
    directory_case_init(&at);
    directory_case_run(&at, 2);
    cr_assert_not(directory_partition(at.directory, "partition")->has_low);
    directory_put_low(&batch, 0, (strid_position){3, UINT64_MAX}, 0);
    cr_assert_eq(batch_apply(&batch, at.directory->ops, at.directory->store, &at.err), STRID_OK);
    batch_fini(&batch);
    cr_assert_eq(directory_case_open(&at), STRID_OK);
    const struct directory_partition *partition = directory_partition(at.directory, "partition");
    cr_assert(partition->has_low);
    cr_assert(partition->low.high == 3 && partition->low.low == UINT64_MAX);
    directory_case_fini(&at);
}
