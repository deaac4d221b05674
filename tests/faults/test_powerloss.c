/* test_powerloss LIBRARY: does the power-loss shim lose exactly what was not synced? Each case runs
 * in a child under the shim that kills itself, then what it left is restored and looked at. */
#include "faults_child.h"
#include "powerloss/powerloss_image.h"
#include "state/store.h"
#include "support/support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, case_name, #condition); \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

enum { KEYS_BYTES = 256 };

static const char *case_name = "";

static void die_now(void) { (void)kill(getpid(), SIGKILL); }

static int make(const char *name, int flags)
{
    int fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC | flags, 0600);
    CHECK(fd >= 0);
    return fd;
}

static void put(int fd, const char *text)
{
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void sync_here(void)
{
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0 && fsync(fd) == 0);
    CHECK(close(fd) == 0);
}

static bool holds(const char *directory, const char *name, const char *expected)
{
    char path[SUPPORT_PATH_MAX * 2];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    size_t len = 0;
    char *text = support_read_file(path, &len);
    bool same = text == NULL || expected == NULL
                    ? text == NULL && expected == NULL
                    : len == strlen(expected) && memcmp(text, expected, len) == 0;
    if (!same)
        fprintf(stderr, "%s holds %s, not %s\n", name, text == NULL ? "(absent)" : text,
                expected == NULL ? "(absent)" : expected);
    free(text);
    return same;
}

/* Appends, overwrites, truncations. */
static void write_data(void)
{
    int appended = make("appended", O_APPEND), changed = make("changed", 0), cut = make("cut", 0);
    int twice = make("twice", 0), never = make("never", 0), emptied = make("emptied", 0);
    put(appended, "synced");
    put(changed, "0123456789");
    put(cut, "0123456789");
    put(twice, "aaaa");
    put(never, "lost");
    put(emptied, "full");
    sync_here();
    CHECK(fdatasync(appended) == 0 && fsync(changed) == 0 && fsync(cut) == 0);
    CHECK(fsync(twice) == 0 && fsync(emptied) == 0);
    put(appended, " and not synced");
    CHECK(pwrite(changed, "XX", 2, 3) == 2 && pwrite(changed, "YYYYY", 5, 4) == 5);
    CHECK(ftruncate(cut, 4) == 0 && pwrite(cut, "new and longer", 14, 4) == 14);
    CHECK(pwrite(twice, "bb", 2, 0) == 2 && fsync(twice) == 0 && pwrite(twice, "cccc", 4, 1) == 4);
    CHECK(close(open("emptied", O_WRONLY | O_TRUNC | O_CLOEXEC)) == 0);
    CHECK(sync_file_range(never, 0, 4, SYNC_FILE_RANGE_WRITE) == 0);
}

static void check_data(const char *directory)
{
    CHECK(holds(directory, "appended", "synced"));
    CHECK(holds(directory, "changed", "0123456789"));
    CHECK(holds(directory, "cut", "0123456789"));
    CHECK(holds(directory, "twice", "bbaa"));
    CHECK(holds(directory, "never", ""));
    CHECK(holds(directory, "emptied", "full"));
}

/* Names: created, renamed, unlinked, linked; each before and after the directory's sync. */
static void write_names(void)
{
    int fd = make("renamed.tmp", 0);
    put(fd, "new");
    CHECK(fsync(fd) == 0);
    int old = make("renamed", 0), gone = make("gone", 0), back = make("back", 0);
    put(old, "old");
    put(gone, "gone");
    put(back, "back");
    CHECK(fsync(old) == 0 && fsync(gone) == 0 && fsync(back) == 0);
    CHECK(mkdir("below", 0700) == 0 && link("gone", "linked") == 0);
    sync_here();
    CHECK(unlink("gone") == 0);
    sync_here();
    CHECK(rename("renamed.tmp", "renamed") == 0 && unlink("back") == 0);
    CHECK(close(back) == 0);
    for (int i = 0; i < 50; i++) { /* whose inode numbers would be those of what was unlinked */
        int other = make("other", 0);
        put(other, "other");
        CHECK(fsync(other) == 0 && close(other) == 0 && unlink("other") == 0);
    }
    int late = make("late", 0), inside = make("below/inside", 0);
    put(late, "late");
    put(inside, "inside");
    CHECK(fsync(late) == 0 && fsync(inside) == 0);
}

static void check_names(const char *directory)
{
    CHECK(holds(directory, "renamed", "old"));
    CHECK(holds(directory, "renamed.tmp", "new"));
    CHECK(holds(directory, "gone", NULL));
    CHECK(holds(directory, "linked", "gone"));
    CHECK(holds(directory, "back", "back"));
    CHECK(holds(directory, "late", NULL));
    CHECK(holds(directory, "below/inside", NULL));
    char path[SUPPORT_PATH_MAX * 2];
    (void)snprintf(path, sizeof path, "%s/below", directory);
    CHECK(access(path, F_OK) == 0);
}

/* Killed within the sync of a file, when its book-keeping has been made and is still empty. */
static void write_begun(void)
{
    struct stat info;
    char path[SUPPORT_PATH_MAX];
    int fd = make("begun", 0);
    put(fd, "lost");
    sync_here();
    CHECK(fstat(fd, &info) == 0);
    (void)snprintf(path, sizeof path, "../watched.durable/state/%ju", (uintmax_t)info.st_ino);
    CHECK(close(make(path, O_EXCL)) == 0);
}

static void check_begun(const char *directory) { CHECK(holds(directory, "begun", "")); }

static void apply_one(struct store *store, const char *key)
{
    struct store_op op = {strid_bytes_of_text(key), strid_bytes_of_text("value")};
    CHECK(store_rocksdb.apply(store, &op, 1, NULL) == STRID_OK);
}

static bool next_one(void *user, struct store_op *op)
{
    int *given = user;
    *op = (struct store_op){strid_bytes_of_text("s1"), strid_bytes_of_text("value")};
    return (*given)++ == 0;
}

static struct store *open_store(void)
{
    strid_error err = STRID_ERROR_INIT;
    struct store *store = NULL;
    struct store_config config = {.path = ".", .create = true};
    if (store_rocksdb.open(&config, &store, &err) != STRID_OK)
        fprintf(stderr, "%s\n", err.message);
    CHECK(store != NULL);
    return store;
}

static void write_store(void)
{
    struct store *store = open_store();
    int given = 0;
    apply_one(store, "w1");
    CHECK(store_rocksdb.sync(store, NULL) == STRID_OK);
    apply_one(store, "w2");
    CHECK(store_rocksdb.bulk_load(store, next_one, &given, NULL) == STRID_OK);
    apply_one(store, "w3");
}

static bool append_key(void *user, strid_bytes key, strid_bytes value)
{
    (void)value;
    char *keys = user;
    size_t len = strlen(keys);
    CHECK(len + key.len < KEYS_BYTES);
    memcpy(keys + len, key.data, key.len);
    keys[len + key.len] = '\0';
    return true;
}

static void check_store(const char *directory)
{
    char keys[KEYS_BYTES] = "";
    CHECK(chdir(directory) == 0);
    struct store *store = open_store();
    strid_bytes all = {0};
    CHECK(store_rocksdb.scan(store, all, all, append_key, keys, NULL) == STRID_OK);
    store_rocksdb.close(store);
    CHECK(chdir("/") == 0);
    if (strcmp(keys, "s1w1") != 0)
        fprintf(stderr, "the store holds %s\n", keys);
    CHECK(strcmp(keys, "s1w1") == 0);
}

/* With a seed: what was synced, and perhaps a beginning of the rest. */
static void check_torn(const char *directory)
{
    static int lengths[32];
    char path[SUPPORT_PATH_MAX * 2];
    (void)snprintf(path, sizeof path, "%s/appended", directory);
    size_t len = 0;
    char *text = support_read_file(path, &len);
    CHECK(text != NULL && len >= 6 && strncmp(text, "synced and not synced", len) == 0);
    free(text);
    static int seen, different;
    different += len < 32 && lengths[len]++ == 0;
    CHECK(++seen < 20 || different > 3);
}

static const struct {
    const char *name;
    void (*write)(void);
    void (*check)(const char *directory);
} cases[] = {{"data", write_data, check_data},
             {"names", write_names, check_names},
             {"begun", write_begun, check_begun},
             {"store", write_store, check_store}};

static void run_case(const char *library, size_t index, uint64_t seed,
                     void (*check)(const char *directory))
{
    struct support_directory place = {0};
    char directory[SUPPORT_PATH_MAX], number[8];
    bool killed = false;
    support_directory_create(&place);
    support_path(&place, "watched", directory);
    CHECK(mkdir(directory, 0700) == 0);
    (void)snprintf(number, sizeof number, "%zu", index);
    const char *args[] = {"child", number, directory, NULL};
    struct faults_child child = {args, NULL, library, directory};
    case_name = cases[index].name;
    CHECK(faults_child_run(&child, &killed) == 255 && killed);
    CHECK(powerloss_image_restore(directory, seed));
    check(directory);
    support_directory_remove(&place);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "child") == 0) {
        size_t index = strtoul(argv[2], NULL, 10);
        case_name = cases[index].name;
        CHECK(chdir(argv[3]) == 0);
        cases[index].write();
        die_now();
    }
    if (argc != 2) {
        fprintf(stderr, "usage: test_powerloss LIBRARY\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run_case(argv[1], i, 0, cases[i].check);
    for (uint64_t seed = 1; seed <= 20; seed++)
        run_case(argv[1], 0, seed, check_torn);
    printf("power loss: %zu cases, 20 torn\n", sizeof cases / sizeof cases[0]);
    return 0;
}
