/* Suite directory_rocksdb: what damage to the files of a real state directory comes to. A copy made
 * while the directory is open is what a kill leaves; the damage is done to the copy. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/directory.h"
#include "support/support.h"

enum { BLOCKS = 5, PADDING = 2000 };

struct damage_case {
    struct support_directory place;
    char path[SUPPORT_PATH_MAX], copy[SUPPORT_PATH_MAX];
    struct directory *directory;
    struct log log;
    char last_log[512];
    strid_error err;
};

static void keep_log(void *user, strid_log_level level, const char *logger, const char *message)
{
    struct damage_case *at = user;
    (void)logger;
    if (level >= STRID_LOG_WARN)
        (void)snprintf(at->last_log, sizeof at->last_log, "%s", message);
}

static strid_status open_at(struct damage_case *at, const char *path, struct directory **out)
{
    char url[SUPPORT_PATH_MAX + 16];
    struct directory_options options = {.create = true, .new_seed = 5, .log = &at->log};
    (void)snprintf(url, sizeof url, "rocksdb:%s", path);
    return directory_open(url, NULL, &options, out, &at->err);
}

/* A block whose key and value fill some space; `spoilt`: with a byte that its checksum denies. */
static void put_block(struct damage_case *at, uint64_t number, uint64_t synced, bool spoilt)
{
    static const uint8_t padding[PADDING] = {'p', 'a', 'd'};
    struct directory *directory = at->directory;
    struct buffer bytes = {0};
    struct batch batch = {0};
    uint8_t key[KEY_FIXED_MAX];
    block_begin(&bytes);
    block_put_progress(
        &bytes, &(struct block_progress){.partition = directory_partition(directory, "p")->number,
                                         .position = {0, number}});
    struct key_state state = {.hash = 0x05000000, .store = 1, .key = strid_bytes_of_text("k")};
    struct key_value value = {.kind = STRID_STATE_BYTES,
                              .bytes = strid_bytes_of(padding, sizeof padding)};
    block_put_state(&bytes, &state, &value);
    block_end(&bytes, directory->run.run, 0, number, 1, 1);
    block_number(&bytes, number, synced);
    if (spoilt)
        bytes.data[bytes.len / 2] ^= 1;
    batch_put_borrowed(&batch, strid_bytes_of(key, key_put_block(key, number)),
                       buffer_bytes(&bytes));
    cr_assert_eq(batch_apply(&batch, directory->ops, directory->store, &at->err), STRID_OK);
    batch_fini(&batch);
    buffer_fini(&bytes);
}

static void sync_up_to(struct damage_case *at, uint64_t number)
{
    const struct directory *directory = at->directory;
    cr_assert_eq(directory->ops->sync(directory->store, &at->err), STRID_OK);
    directory->ops->note_synced(directory->store, number);
}

/* A run with BLOCKS blocks, all synced; none says so itself, as when the last write was the last
 * of all. */
static void begin(struct damage_case *at)
{
    static const uint8_t worker_of[KEY_VSHARDS] = {0};
    uint8_t store = 0;
    *at = (struct damage_case){.err = STRID_ERROR_INIT};
    at->log = (struct log){.fn = keep_log, .user = at};
    support_directory_create(&at->place);
    support_path(&at->place, "state", at->path);
    support_path(&at->place, "copy", at->copy);
    STRID_CHECK_OK(open_at(at, at->path, &at->directory), at->err);
    (void)directory_partition(at->directory, "p");
    STRID_CHECK_OK(directory_store(at->directory, "s", &store, &at->err), at->err);
    STRID_CHECK_OK(directory_begin_run(at->directory, 1, worker_of, &at->err), at->err);
    for (uint64_t n = 1; n <= BLOCKS; n++)
        put_block(at, n, 0, false);
    sync_up_to(at, BLOCKS);
}

static void copy_file(const char *from, const char *to)
{
    size_t len = 0;
    char *bytes = support_read_file(from, &len);
    FILE *file = fopen(to, "wb");
    cr_assert(bytes != NULL && file != NULL);
    cr_assert_eq(fwrite(bytes, 1, len, file), len);
    cr_assert_eq(fclose(file), 0);
    free(bytes);
}

/* Copies the directory, then closes it. `log`: where the copy's write-ahead log is. */
static void kill_here(struct damage_case *at, char log[SUPPORT_PATH_MAX + 300])
{
    char from[SUPPORT_PATH_MAX + 300], to[SUPPORT_PATH_MAX + 300];
    cr_assert_eq(mkdir(at->copy, 0700), 0);
    DIR *directory = opendir(at->path);
    cr_assert_not_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_type != DT_REG)
            continue;
        (void)snprintf(from, sizeof from, "%s/%s", at->path, entry->d_name);
        (void)snprintf(to, sizeof to, "%s/%s", at->copy, entry->d_name);
        copy_file(from, to);
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ".log") == 0)
            (void)snprintf(log, SUPPORT_PATH_MAX + 300, "%s", to);
    }
    (void)closedir(directory);
    directory_close(at->directory);
    at->directory = NULL;
}

static long size_of(const char *path)
{
    struct stat info;
    cr_assert_eq(stat(path, &info), 0, "%s", path);
    return (long)info.st_size;
}

static void flip(const char *path, long offset)
{
    FILE *file = fopen(path, "r+b");
    cr_assert(file != NULL && fseek(file, offset, SEEK_SET) == 0);
    int byte = fgetc(file);
    cr_assert(byte != EOF && fseek(file, offset, SEEK_SET) == 0);
    cr_assert_neq(fputc(byte ^ 0x20, file), EOF);
    cr_assert_eq(fclose(file), 0);
}

static void end(struct damage_case *at)
{
    directory_close(at->directory);
    support_directory_remove(&at->place);
}

/* Also a second time: RocksDB has then forgotten what it found at the first. */
static void expect_refused(struct damage_case *at, const char *says)
{
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(open_at(at, at->copy, &at->directory), STRID_ECORRUPT, "%s", at->err.message);
        cr_assert_null(at->directory);
        cr_assert_not_null(strstr(at->err.message, says), "%s", at->err.message);
        cr_assert_not_null(strstr(at->err.message, "restore the directory from a backup"));
    }
    end(at);
}

static void expect_blocks(struct damage_case *at, uint64_t good, uint64_t dropped)
{
    STRID_CHECK_OK(open_at(at, at->copy, &at->directory), at->err);
    cr_assert_eq(at->directory->redo_blocks, good);
    cr_assert_eq(at->directory->dropped, dropped);
    end(at);
}

Test(directory_rocksdb, a_kill_loses_nothing)
{
    struct damage_case at;
    char log[SUPPORT_PATH_MAX + 300];
    begin(&at);
    put_block(&at, BLOCKS + 1, BLOCKS, false);
    kill_here(&at, log);
    expect_blocks(&at, BLOCKS + 1, 0);
}

/* RocksDB itself takes the damage for the end of the log, and would go on with what is before. */
Test(directory_rocksdb, damage_within_the_log_refuses)
{
    struct damage_case at;
    char log[SUPPORT_PATH_MAX + 300];
    begin(&at);
    kill_here(&at, log);
    flip(log, size_of(log) / 2);
    expect_refused(&at, "is missing or damaged, though blocks up to 5 were synced");
}

Test(directory_rocksdb, log_that_is_cut_off_refuses)
{
    struct damage_case at;
    char log[SUPPORT_PATH_MAX + 300];
    begin(&at);
    kill_here(&at, log);
    cr_assert_eq(truncate(log, size_of(log) - PADDING - PADDING / 2), 0);
    expect_refused(&at, "block 4 is missing or damaged");
}

Test(directory_rocksdb, log_that_is_gone_is_no_fresh_start)
{
    struct damage_case at;
    char log[SUPPORT_PATH_MAX + 300];
    begin(&at);
    kill_here(&at, log);
    cr_assert_eq(unlink(log), 0);
    expect_refused(&at, "block 1 is missing or damaged");
}

Test(directory_rocksdb, end_of_the_log_that_was_not_synced_may_go)
{
    struct damage_case at;
    char log[SUPPORT_PATH_MAX + 300];
    begin(&at);
    put_block(&at, BLOCKS + 1, BLOCKS, false);
    kill_here(&at, log);
    cr_assert_eq(truncate(log, size_of(log) - 10), 0);
    expect_blocks(&at, BLOCKS, 0);
}

Test(directory_rocksdb, synced_block_that_is_spoilt_refuses)
{
    struct damage_case at;
    char log[SUPPORT_PATH_MAX + 300];
    begin(&at);
    put_block(&at, 3, 0, true);
    kill_here(&at, log);
    expect_refused(&at, "block 3 is missing or damaged");
}

Test(directory_rocksdb, unsynced_block_that_is_spoilt_is_dropped_aloud)
{
    struct damage_case at;
    char log[SUPPORT_PATH_MAX + 300];
    begin(&at);
    put_block(&at, BLOCKS + 1, BLOCKS, true);
    put_block(&at, BLOCKS + 2, BLOCKS, false);
    kill_here(&at, log);
    STRID_CHECK_OK(open_at(&at, at.copy, &at.directory), at.err);
    cr_assert_not_null(strstr(at.last_log, "block 6 is damaged and was never synced: 2 blocks"),
                       "%s", at.last_log);
    directory_close(at.directory);
    at.directory = NULL;
    expect_blocks(&at, BLOCKS, 2);
}

/* A loss of power may take the note, or leave an older or a torn one. */
Test(directory_rocksdb, note_that_is_lost_or_torn_says_nothing)
{
    static const char *const notes[] = {NULL, "", "torn", "twelve bytes"};
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++) {
        struct damage_case at;
        char log[SUPPORT_PATH_MAX + 300], path[SUPPORT_PATH_MAX + 300];
        begin(&at);
        kill_here(&at, log);
        (void)snprintf(path, sizeof path, "%s/SYNCED", at.copy);
        cr_assert_eq(unlink(path), 0);
        FILE *file = notes[i] == NULL ? NULL : fopen(path, "wb");
        if (file != NULL)
            cr_assert(fputs(notes[i], file) >= 0 && fclose(file) == 0);
        expect_blocks(&at, BLOCKS, 0);
    }
}
