#include "powerloss_journal.h"

#include "powerloss_format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUCKETS = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below, and the journal */
static char root[PATH_MAX];
static struct journal_inode *buckets[BUCKETS];

static void die(const char *what, const char *name)
{
    fprintf(stderr, "powerloss: cannot %s %s: %s\n", what, name, strerror(errno));
    abort();
}

static void journal_path(char *out, const char *kind, uint64_t number)
{
    if (snprintf(out, PATH_MAX, "%s.durable/%s/%" PRIu64, root, kind, number) >= PATH_MAX)
        die("name", root);
}

static void write_state(const struct journal_inode *inode)
{
    char path[PATH_MAX];
    struct powerloss_state state = {atomic_load_explicit(&inode->durable_len, memory_order_relaxed),
                                    inode->undo_start, inode->undo_end};
    journal_path(path, "state", inode->number);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || pwrite(fd, &state, sizeof state, 0) != (ssize_t)sizeof state)
        die("write", path);
    (void)close(fd);
}

static struct journal_inode *load(ino_t number)
{
    struct journal_inode **bucket = &buckets[number % BUCKETS];
    for (struct journal_inode *inode = *bucket; inode != NULL; inode = inode->next)
        if (inode->number == number)
            return inode;
    struct journal_inode *inode = calloc(1, sizeof *inode);
    if (inode == NULL)
        die("remember", root);
    struct powerloss_state state = {0, sizeof state, sizeof state};
    char path[PATH_MAX];
    journal_path(path, "state", number);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        /* Empty: an earlier process was killed before it wrote what it had made the file for. */
        ssize_t got = pread(fd, &state, sizeof state, 0);
        if (got != 0 && got != (ssize_t)sizeof state)
            die("read", path);
        (void)close(fd);
    }
    inode->number = number;
    atomic_init(&inode->durable_len, state.durable_len);
    inode->undo_start = state.undo_start;
    inode->undo_end = state.undo_end;
    inode->next = *bucket;
    *bucket = inode;
    return inode;
}

/* Drops a file that was forgotten and whose number may come again. */
static void forget(ino_t number)
{
    struct journal_inode *inode = load(number);
    atomic_store_explicit(&inode->durable_len, 0, memory_order_relaxed);
    inode->undo_start = inode->undo_end = sizeof(struct powerloss_state);
}

static bool make_live(ino_t number, int directory, const char *name, int flags)
{
    char path[PATH_MAX];
    journal_path(path, "live", number);
    if (access(path, F_OK) == 0)
        return true;
    return linkat(directory, name, AT_FDCWD, path, flags) == 0 || errno == EEXIST;
}

struct journal_inode *journal_track(int fd)
{
    struct stat info;
    char path[64];
    if (fstat(fd, &info) != 0)
        die("look at", root);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    (void)pthread_mutex_lock(&lock);
    (void)make_live(info.st_ino, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
    struct journal_inode *inode = load(info.st_ino);
    (void)pthread_mutex_unlock(&lock);
    return inode;
}

static void append_undo(struct journal_inode *inode, int state, int live, uint64_t offset,
                        uint64_t len)
{
    static uint8_t bytes[1 << 16];
    while (len > 0) {
        size_t want = len < sizeof bytes ? (size_t)len : sizeof bytes;
        ssize_t got = pread(live, bytes, want, (off_t)offset);
        if (got < 0)
            die("read a file below", root);
        if (got == 0)
            return; /* cut off before: that cut has its own record */
        struct powerloss_undo undo = {offset, (uint64_t)got};
        uint64_t at = inode->undo_end;
        if (pwrite(state, &undo, sizeof undo, (off_t)at) != (ssize_t)sizeof undo ||
            pwrite(state, bytes, (size_t)got, (off_t)(at + sizeof undo)) != got)
            die("write the journal of", root);
        inode->undo_end = at + sizeof undo + (uint64_t)got;
        offset += (uint64_t)got;
        len -= (uint64_t)got;
    }
}

void journal_save(struct journal_inode *inode, uint64_t offset, uint64_t len)
{
    (void)pthread_mutex_lock(&lock);
    uint64_t durable = atomic_load_explicit(&inode->durable_len, memory_order_relaxed);
    if (offset < durable && len > 0) {
        char path[PATH_MAX];
        journal_path(path, "state", inode->number);
        int state = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        journal_path(path, "live", inode->number);
        int live = open(path, O_RDONLY | O_CLOEXEC);
        if (state < 0 || live < 0)
            die("open", path);
        append_undo(inode, state, live, offset, len < durable - offset ? len : durable - offset);
        (void)close(state);
        (void)close(live);
        write_state(inode);
    }
    (void)pthread_mutex_unlock(&lock);
}

struct journal_mark journal_sync_begin(struct journal_inode *inode, int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        die("look at", root);
    (void)pthread_mutex_lock(&lock);
    struct journal_mark mark = {(uint64_t)info.st_size, inode->undo_end};
    (void)pthread_mutex_unlock(&lock);
    return mark;
}

void journal_sync_end(struct journal_inode *inode, struct journal_mark mark)
{
    (void)pthread_mutex_lock(&lock);
    atomic_store_explicit(&inode->durable_len, mark.len, memory_order_relaxed);
    inode->undo_start = mark.undo_end;
    write_state(inode);
    (void)pthread_mutex_unlock(&lock);
}

/* Whether any directory's durable names have this file. */
static bool is_listed(const char *directories, ino_t number)
{
    char wanted[32], line[PATH_MAX];
    (void)snprintf(wanted, sizeof wanted, "%" PRIu64 " ", (uint64_t)number);
    DIR *directory = opendir(directories);
    if (directory == NULL)
        die("read", directories);
    bool found = false;
    const struct dirent *entry;
    while (!found && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        char path[PATH_MAX + 512];
        (void)snprintf(path, sizeof path, "%s/%s", directories, entry->d_name);
        FILE *list = fopen(path, "re");
        while (list != NULL && !found && fgets(line, sizeof line, list) != NULL)
            found = strncmp(line, wanted, strlen(wanted)) == 0;
        if (list != NULL)
            (void)fclose(list);
    }
    (void)closedir(directory);
    return found;
}

/* Files that have no name any more, durable or not, need not be kept. */
static void collect(void)
{
    char live[PATH_MAX + 16], directories[PATH_MAX + 16], path[PATH_MAX];
    (void)snprintf(live, sizeof live, "%s.durable/live", root);
    (void)snprintf(directories, sizeof directories, "%s.durable/dirs", root);
    DIR *directory = opendir(live);
    if (directory == NULL)
        die("read", live);
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        struct stat info;
        if (entry->d_name[0] == '.' || fstatat(dirfd(directory), entry->d_name, &info, 0) != 0 ||
            info.st_nlink > 1 || is_listed(directories, info.st_ino))
            continue;
        journal_path(path, "state", info.st_ino);
        (void)unlink(path); /* first: a state without a file is never left */
        forget(info.st_ino);
        (void)unlinkat(dirfd(directory), entry->d_name, 0);
    }
    (void)closedir(directory);
}

static void list_names(int fd, FILE *list)
{
    DIR *directory = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory == NULL)
        die("read", root);
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISREG(info.st_mode))
            (void)make_live(info.st_ino, dirfd(directory), entry->d_name, 0);
        (void)fprintf(list, "%" PRIu64 " %c %s\n", (uint64_t)info.st_ino,
                      S_ISDIR(info.st_mode) ? 'd' : 'f', entry->d_name);
    }
    (void)closedir(directory);
}

static void record_directory(int fd)
{
    struct stat info;
    char path[PATH_MAX], fresh[PATH_MAX + 32];
    if (fstat(fd, &info) != 0)
        die("look at", root);
    journal_path(path, "dirs", info.st_ino);
    (void)snprintf(fresh, sizeof fresh, "%s.durable/fresh", root);
    FILE *list = fopen(fresh, "we");
    if (list == NULL)
        die("write", fresh);
    list_names(fd, list);
    if (fclose(list) != 0 || rename(fresh, path) != 0)
        die("write", path);
}

void journal_sync_directory(int fd)
{
    (void)pthread_mutex_lock(&lock);
    record_directory(fd);
    collect();
    (void)pthread_mutex_unlock(&lock);
}

/* Takes everything below an existing directory as durable. */
static void adopt(int fd)
{
    record_directory(fd);
    DIR *directory = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory == NULL)
        die("read", root);
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISREG(info.st_mode)) {
            struct journal_inode *inode = load(info.st_ino);
            atomic_store_explicit(&inode->durable_len, (uint64_t)info.st_size,
                                  memory_order_relaxed);
            write_state(inode);
        } else if (S_ISDIR(info.st_mode)) {
            int child = openat(dirfd(directory), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (child < 0)
                die("open", entry->d_name);
            adopt(child);
            (void)close(child);
        }
    }
    (void)closedir(directory);
}

static bool resolve(const char *given)
{
    char copy[PATH_MAX], parent[PATH_MAX];
    (void)snprintf(copy, sizeof copy, "%s", given);
    size_t len = strlen(copy);
    while (len > 1 && copy[len - 1] == '/')
        copy[--len] = '\0';
    if (realpath(copy, root) != NULL)
        return true;
    char *slash = strrchr(copy, '/');
    if (slash != NULL)
        *slash = '\0';
    const char *name = slash == NULL ? copy : slash + 1;
    if (realpath(slash == NULL ? "." : copy, parent) == NULL ||
        snprintf(root, sizeof root, "%s/%s", parent, name) >= (int)sizeof root)
        die("find", given);
    return false;
}

void journal_open(const char *given)
{
    bool exists = resolve(given);
    static const char *const parts[] = {"", "/live", "/state", "/dirs"};
    char path[PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s.durable/complete", root);
    if (access(path, F_OK) == 0)
        return; /* an earlier process of this run began it */
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        (void)snprintf(path, sizeof path, "%s.durable%s", root, parts[i]);
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            die("make", path);
    }
    if (exists) {
        int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            die("open", root);
        adopt(fd);
        (void)close(fd);
    }
    (void)snprintf(path, sizeof path, "%s.durable/complete", root);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        die("write", path);
    (void)close(fd);
}

bool journal_covers(const char *path)
{
    size_t len = strlen(root);
    return len > 0 && strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0');
}
