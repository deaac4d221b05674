/* What a durable store does beyond the common part: places, reopening, failures. */
#include <criterion/criterion.h>

#include "state/key.h"
#include "state/rocksdb/rocksdb_failure.h"
#include "store_case.h"
#include "support/memory_quarantine.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct store_case at;

static void setup(void) { store_case_open(&at, 0); }
static void teardown(void) { store_case_close(&at); }

TestSuite(store_rocksdb, .init = setup, .fini = teardown);

static strid_status try_open(const char *path, bool create, bool read_only, struct store **out,
                             strid_error *err)
{
    struct store_config config = {.path = path, .create = create, .read_only = read_only};
    return store_rocksdb.open(&config, out, err);
}

static void close_store(void)
{
    store_rocksdb.close(at.store);
    at.store = NULL;
}

/* Names and sizes of a directory's files, in no order that matters: their sum. */
static uint64_t fingerprint(const char *path)
{
    uint64_t sum = 0;
    DIR *directory = opendir(path);
    cr_assert_not_null(directory);
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        struct stat info;
        uint64_t hash = UINT64_C(14695981039346656037);
        for (const char *c = entry->d_name; *c != '\0'; c++)
            hash = (hash ^ (uint8_t)*c) * UINT64_C(1099511628211);
        cr_assert_eq(fstatat(dirfd(directory), entry->d_name, &info, 0), 0);
        if (S_ISREG(info.st_mode))
            sum += hash * ((uint64_t)info.st_size + 1) + (uint64_t)info.st_mtim.tv_nsec;
    }
    (void)closedir(directory);
    return sum;
}

Test(store_rocksdb, reopening_keeps_everything)
{
    store_case_put(&at, "w1", "block");
    struct store_op ops[] = {store_case_op("p1", "progress"), store_case_op("s1", "state")};
    store_case_load(&at, ops, 2);
    store_case_put(&at, "w1", NULL);
    store_case_put(&at, "w2", "block");
    for (int i = 0; i < 2; i++) {
        store_case_reopen(&at);
        char keys[64];
        store_case_keys(&at, NULL, NULL, keys, sizeof keys);
        cr_assert_str_eq(keys, "p1,s1,w2");
        cr_assert(store_case_has_text(&at, "s1", "state"));
    }
}

Test(store_rocksdb, directory_is_for_its_owner_only)
{
    struct stat info;
    cr_assert_eq(stat(at.path, &info), 0);
    cr_assert_eq(info.st_mode & 07777, 0700);
}

Test(store_rocksdb, missing_directory_is_not_made_unless_asked)
{
    strid_error err = STRID_ERROR_INIT;
    struct store *store = NULL;
    char path[SUPPORT_PATH_MAX];
    support_path(&at.directory, "missing", path);
    cr_assert_eq(try_open(path, false, false, &store, &err), STRID_ENOTFOUND);
    cr_assert_not_null(strstr(err.message, path));
    cr_assert_eq(try_open(path, true, true, &store, &err), STRID_ENOTFOUND);
    cr_assert_eq(access(path, F_OK), -1);
    cr_assert_eq(mkdir(path, 0700), 0); /* an empty directory holds no state either */
    cr_assert_eq(try_open(path, false, false, &store, &err), STRID_ENOTFOUND);
    cr_assert_eq(rmdir(path), 0, "nothing was left in it");
    cr_assert_eq(try_open(path, true, false, &store, &err), STRID_OK, "%s", err.message);
    store_rocksdb.close(store);
}

Test(store_rocksdb, impossible_places_are_errors_that_leave_nothing)
{
    strid_error err = STRID_ERROR_INIT;
    struct store *store = NULL;
    char path[SUPPORT_PATH_MAX];
    support_path(&at.directory, "no/such", path);
    cr_assert_eq(try_open(path, true, false, &store, &err), STRID_EIO);
    cr_assert_eq(err.native_code, ENOENT);
    support_path(&at.directory, "file", path);
    support_write_file(path, "x", 1);
    cr_assert_eq(try_open(path, true, false, &store, &err), STRID_EIO);
    cr_assert_eq(try_open(path, false, false, &store, &err), STRID_EIO);
    cr_assert_eq(try_open("", true, false, &store, &err), STRID_EINVAL);
    cr_assert_null(store);
}

/* Those below the highest that is open, so that the numbers behind it are the free ones; the first
 * of these. The runner's own leave gaps that differ from time to time. */
static int take_free_descriptors(void)
{
    enum { LOOKED_AT = 1024 };
    int highest = 0, next = 0;
    for (int fd = 0; fd < LOOKED_AT; fd++)
        if (fcntl(fd, F_GETFD) != -1)
            highest = fd;
    do
        next = dup(STDIN_FILENO);
    while (next < highest);
    (void)close(next);
    return next;
}

/* Without file descriptors nothing can be opened, but a directory can still be made. */
Test(store_rocksdb, failed_making_takes_its_directory_away_again)
{
    strid_error err = STRID_ERROR_INIT;
    struct store *store = NULL;
    char path[SUPPORT_PATH_MAX];
    support_path(&at.directory, "new", path);
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    int gap = dup(STDIN_FILENO);
    (void)dup2(STDIN_FILENO, gap + 3);
    (void)close(gap);
    int next = take_free_descriptors();
    limit.rlim_cur = (rlim_t)next + 2;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(try_open(path, true, false, &store, &err), STRID_EIO, "%s", err.message);
    limit.rlim_cur = before;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_not_null(strstr(err.message, "Too many open files"), "%s", err.message);
    cr_assert_eq(access(path, F_OK), -1);
    cr_assert_eq(errno, ENOENT);
}

Test(store_rocksdb, read_only_reads_all_and_changes_nothing)
{
    strid_error err = STRID_ERROR_INIT;
    struct store_op ops[] = {store_case_op("s1", "state")};
    store_case_load(&at, ops, 1);
    store_case_put(&at, "w1", "only in the log");
    close_store();
    char leftover[SUPPORT_PATH_MAX + 32];
    (void)snprintf(leftover, sizeof leftover, "%s/ingest/000099.sst", at.path);
    support_write_file(leftover, "x", 1);
    uint64_t before = fingerprint(at.path);
    STRID_CHECK_OK(try_open(at.path, false, true, &at.store, &err), err);
    cr_assert(store_case_has_text(&at, "s1", "state"));
    cr_assert(store_case_has_text(&at, "w1", "only in the log"));
    cr_assert_eq(at.ops->apply(at.store, ops, 1, &err), STRID_EINVAL);
    cr_assert_eq(at.ops->sync(at.store, &err), STRID_EINVAL);
    struct store_case_list list = {ops, 1, 0};
    cr_assert_eq(at.ops->bulk_load(at.store, store_case_next, &list, &err), STRID_EINVAL);
    close_store();
    cr_assert_eq(fingerprint(at.path), before);
    cr_assert_eq(access(leftover, F_OK), 0);
    store_case_reopen(&at);
    cr_assert_eq(access(leftover, F_OK), -1, "a writer removes what a killed load left");
}

Test(store_rocksdb, damage_is_reported_as_damage)
{
    strid_error err = STRID_ERROR_INIT;
    char current[SUPPORT_PATH_MAX + 16];
    store_case_put(&at, "k", "v");
    close_store();
    (void)snprintf(current, sizeof current, "%s/CURRENT", at.path);
    support_write_file(current, "nonsense", 8);
    cr_assert_eq(try_open(at.path, true, false, &at.store, &err), STRID_ECORRUPT, "%s",
                 err.message);
    cr_assert_not_null(strstr(err.message, "backup"), "%s", err.message);
    cr_assert_eq(access(current, F_OK), 0, "what was there before stays");
}

/* Not "no state": a run would be told to make one. */
Test(store_rocksdb, directory_without_its_file_current_is_damaged)
{
    char current[SUPPORT_PATH_MAX + 16];
    store_case_put(&at, "k", "v");
    close_store();
    (void)snprintf(current, sizeof current, "%s/CURRENT", at.path);
    cr_assert_eq(unlink(current), 0);
    for (int mode = 0; mode < 3; mode++) { /* a run, a tool that writes, one that reads */
        strid_error err = STRID_ERROR_INIT;
        uint64_t before = fingerprint(at.path);
        cr_assert_eq(try_open(at.path, mode == 0, mode == 2, &at.store, &err), STRID_ECORRUPT, "%s",
                     err.message);
        cr_assert_not_null(strstr(err.message, "CURRENT is missing; restore a backup"), "%s",
                           err.message);
        cr_assert_eq(fingerprint(at.path), before, "nothing was made");
    }
}

enum { LARGE_VALUES = 256, LARGE_BYTES = 1 << 20 };

/* Gives LARGE_VALUES values that do not compress, each under its number. */
static bool next_large(void *user, struct store_op *op)
{
    static uint8_t key[2] = {'s'}, value[LARGE_BYTES];
    uint32_t *given = user;
    uint64_t word = *given + UINT64_C(88172645463325252);
    if (*given == LARGE_VALUES)
        return false;
    for (size_t at_byte = 0; at_byte < sizeof value; at_byte += sizeof word) {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        memcpy(value + at_byte, &word, sizeof word);
    }
    key[1] = (uint8_t)(*given)++;
    *op = (struct store_op){strid_bytes_of(key, 2), strid_bytes_of(value, sizeof value)};
    return true;
}

static bool count_bytes(void *user, size_t index, strid_bytes value)
{
    (void)index;
    *(uint64_t *)user += value.len;
    return true;
}

static uint64_t peak_bytes(void)
{
    struct rusage usage;
    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return (uint64_t)usage.ru_maxrss * 1024;
}

/* What one chunk can miss. RocksDB holds all values of a multi-get at the same time. */
Test(store_rocksdb, many_large_values_are_read_a_few_at_a_time)
{
    static uint8_t names[LARGE_VALUES][2];
    static strid_bytes keys[LARGE_VALUES];
    strid_error err = STRID_ERROR_INIT;
    uint32_t given = 0;
    uint64_t bytes = 0;
    close_store();
    struct store_config config = {.path = at.path, .block_cache = 4 << 20};
    STRID_CHECK_OK(store_rocksdb.open(&config, &at.store, &err), err);
    STRID_CHECK_OK(store_rocksdb.bulk_load(at.store, next_large, &given, &err), err);
    for (uint32_t i = 0; i < LARGE_VALUES; i++) {
        names[i][0] = 's';
        names[i][1] = (uint8_t)i;
        keys[i] = strid_bytes_of(names[i], 2);
    }
    uint64_t before = peak_bytes();
    STRID_CHECK_OK(store_rocksdb.get_many(at.store, keys, LARGE_VALUES, count_bytes, &bytes, &err),
                   err);
    cr_assert_eq(bytes, (uint64_t)LARGE_VALUES * LARGE_BYTES);
    /* AddressSanitizer keeps for a while what was freed. */
    uint64_t kept = memory_quarantine_bytes;
    cr_assert_lt(peak_bytes() - before, (64u << 20) + kept, "%lu MiB more",
                 (unsigned long)((peak_bytes() - before) >> 20));
}

Test(store_rocksdb, failed_write_closes_the_store_for_writes)
{
    strid_error err = STRID_ERROR_INIT;
    static uint8_t value[1 << 20];
    store_case_put(&at, "k", "v");
    struct rlimit limit = {64 << 10, RLIM_INFINITY};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    cr_assert_eq(sigaction(SIGXFSZ, &ignore, NULL), 0);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct store_op op = {strid_bytes_of_text("large"), strid_bytes_of(value, sizeof value)};
    cr_assert_eq(at.ops->apply(at.store, &op, 1, &err), STRID_ESTORE);
    cr_assert_not_null(strstr(err.message, "File too large"), "%s", err.message);
    cr_assert(err.flags & STRID_ERROR_FATAL);
    limit.rlim_cur = RLIM_INFINITY;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct store_op small = store_case_op("small", "v");
    cr_assert_eq(at.ops->apply(at.store, &small, 1, &err), STRID_ESTORE);
    cr_assert_eq(at.ops->sync(at.store, &err), STRID_ESTORE);
    struct store_case_list list = {&small, 1, 0};
    cr_assert_eq(at.ops->bulk_load(at.store, store_case_next, &list, &err), STRID_ESTORE);
    cr_assert(store_case_has_text(&at, "k", "v"));
    store_case_reopen(&at);
    cr_assert(store_case_has_text(&at, "k", "v"));
    cr_assert(store_case_has_text(&at, "small", NULL));
    store_case_put(&at, "small", "v");
}

Test(store_rocksdb, failed_load_loads_nothing)
{
    strid_error err = STRID_ERROR_INIT;
    struct rlimit limit = {16, RLIM_INFINITY};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    cr_assert_eq(sigaction(SIGXFSZ, &ignore, NULL), 0);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct store_op op = store_case_op("s1", "state");
    struct store_case_list list = {&op, 1, 0};
    cr_assert_eq(at.ops->bulk_load(at.store, store_case_next, &list, &err), STRID_ESTORE, "%s",
                 err.message);
    limit.rlim_cur = RLIM_INFINITY;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    store_case_reopen(&at);
    cr_assert(store_case_has_text(&at, "s1", NULL));
}

Test(store_rocksdb, error_texts_are_told_apart)
{
    static const struct {
        const char *text;
        strid_status at_open, at_read;
    } texts[] = {
        {"Corruption: checksum mismatch", STRID_ECORRUPT, STRID_ECORRUPT},
        {"NotFound: no such thing", STRID_ENOTFOUND, STRID_EIO},
        {"Invalid argument: x: does not exist (create_if_missing is false)", STRID_ENOTFOUND,
         STRID_EIO},
        {"IO error: No space left on device: While appending", STRID_ENOSPC, STRID_EIO},
        {"Not implemented: unknown format", STRID_EVERSION, STRID_EIO},
        {"IO error: Input/output error", STRID_EIO, STRID_EIO},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        strid_error err = STRID_ERROR_INIT;
        cr_assert_eq(rocksdb_failure_open(strdup(texts[i].text), "DIR", &err), texts[i].at_open);
        cr_assert_eq(rocksdb_failure_read(strdup(texts[i].text), "DIR", &err), texts[i].at_read);
        cr_assert_eq(rocksdb_failure_write(strdup(texts[i].text), "DIR", "a sync", &err),
                     STRID_ESTORE);
        cr_assert_not_null(strstr(err.message, texts[i].text), "the native text is kept");
        cr_assert_eq(err.native_code, texts[i].at_open == STRID_ENOSPC ? ENOSPC : 0);
    }
}

/* What this process has read of files by now, from the page cache or not. */
static uint64_t bytes_read(void)
{
    char line[128];
    unsigned long long bytes = 0;
    FILE *file = fopen("/proc/self/io", "r");
    cr_assert_not_null(file);
    cr_assert_not_null(fgets(line, sizeof line, file));
    cr_assert_eq(sscanf(line, "rchar: %llu", &bytes), 1, "%s", line);
    (void)fclose(file);
    return bytes;
}

static bool has_flushed(void *user)
{
    (void)user;
    struct store_figures figures = {0};
    at.ops->figures(at.store, &figures);
    return figures.level_files[0] > 0;
}

static bool see_none(void *user, strid_bytes key, strid_bytes value)
{
    (void)user, (void)key, (void)value;
    cr_assert_fail("there is no state");
    return false;
}

/* A memtable that was flushed with blocks in it must cost those nothing who look for state. */
Test(store_rocksdb, looking_for_state_reads_no_blocks)
{
    enum { BLOCK_BYTES = 1 << 20, BLOCKS = 20, WRITE_BUFFER = 4 << 20 };
    strid_error err = STRID_ERROR_INIT;
    struct store_config config = {.path = at.path, .create = true, .write_buffer = WRITE_BUFFER};
    close_store();
    cr_assert_eq(store_rocksdb.open(&config, &at.store, &err), STRID_OK, "%s", err.message);
    uint8_t *bytes = malloc(BLOCK_BYTES);
    cr_assert_not_null(bytes);
    uint64_t mix = 1;
    for (size_t i = 0; i < BLOCK_BYTES; i++)
        bytes[i] = (uint8_t)((mix = mix * UINT64_C(6364136223846793005) + 1) >> 56);
    for (uint64_t number = 1; number <= BLOCKS; number++) {
        uint8_t key[KEY_FIXED_MAX];
        struct store_op op = {.key = strid_bytes_of(key, key_put_block(key, number)),
                              .value = strid_bytes_of(bytes, BLOCK_BYTES)};
        cr_assert_eq(at.ops->apply(at.store, &op, 1, &err), STRID_OK, "%s", err.message);
    }
    free(bytes);
    cr_assert(support_wait(has_flushed, NULL, 30000));
    uint64_t before = bytes_read();
    for (int vshard = 0; vshard < KEY_VSHARDS - 1; vshard++) {
        const uint8_t from[] = {'s', (uint8_t)vshard}, to[] = {'s', (uint8_t)(vshard + 1)};
        cr_assert_eq(at.ops->scan(at.store, strid_bytes_of(from, 2), strid_bytes_of(to, 2),
                                  see_none, NULL, &err),
                     STRID_OK);
    }
    cr_assert_lt(bytes_read() - before, BLOCK_BYTES / 2);
}
