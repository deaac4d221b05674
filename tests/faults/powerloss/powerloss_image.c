#include "powerloss_image.h"

#include "powerloss_format.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES_MAX = 4096, NAME_BYTES = 256 };

struct image {
    const char *directory;
    uint64_t random; /* 0: strict */
};

struct entry {
    uint64_t number;
    char kind;
    char name[NAME_BYTES];
};

struct entries {
    struct entry *at;
    size_t count;
};

static bool fail(const char *what, const char *name)
{
    fprintf(stderr, "powerloss_restore: cannot %s %s: %s\n", what, name, strerror(errno));
    return false;
}

static uint64_t next_random(struct image *image)
{
    image->random ^= image->random << 13;
    image->random ^= image->random >> 7;
    image->random ^= image->random << 17;
    return image->random;
}

static bool coin(struct image *image)
{
    return image->random != 0 && (next_random(image) >> 33) % 2 == 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static bool remove_tree(const char *path)
{
    if (access(path, F_OK) != 0)
        return true;
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || fail("remove", path);
}

/* Writes the saved bytes back, the latest change first. */
static bool undo(int state, int live, uint64_t start, uint64_t end)
{
    if (start >= end)
        return true;
    struct powerloss_undo record;
    if (pread(state, &record, sizeof record, (off_t)start) != (ssize_t)sizeof record)
        return fail("read", "an undo record");
    if (!undo(state, live, start + sizeof record + record.len, end))
        return false;
    uint8_t *bytes = malloc(record.len);
    bool done =
        bytes != NULL &&
        pread(state, bytes, record.len, (off_t)(start + sizeof record)) == (ssize_t)record.len &&
        pwrite(live, bytes, record.len, (off_t)record.offset) == (ssize_t)record.len;
    free(bytes);
    return done || fail("apply", "an undo record");
}

/* Takes from one file what was not synced. */
static bool restore_file(struct image *image, const char *name)
{
    char path[PATH_MAX];
    struct powerloss_state durable = {0, sizeof durable, sizeof durable};
    struct stat info;
    (void)snprintf(path, sizeof path, "%s.durable/state/%s", image->directory, name);
    int state = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = state < 0 ? 0 : pread(state, &durable, sizeof durable, 0);
    /* Empty: the process was killed before its first sync of this file had been noted. */
    if (got != 0 && got != (ssize_t)sizeof durable)
        return fail("read", path);
    (void)snprintf(path, sizeof path, "%s.durable/live/%s", image->directory, name);
    int live = open(path, O_RDWR | O_CLOEXEC);
    if (live < 0 || fstat(live, &info) != 0)
        return fail("open", path);
    uint64_t len = durable.durable_len;
    uint64_t written = (uint64_t)info.st_size;
    if (image->random != 0 && written > len)
        len += next_random(image) % (written - len + 1);
    bool done = ftruncate(live, (off_t)len) == 0 || fail("cut", path);
    if (done && (written < durable.durable_len || !coin(image)))
        done = undo(state, live, durable.undo_start, durable.undo_end);
    (void)close(live);
    if (state >= 0)
        (void)close(state);
    return done;
}

static bool restore_files(struct image *image)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s.durable/live", image->directory);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return fail("read", path);
    bool done = true;
    const struct dirent *entry;
    while (done && (entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.')
            done = restore_file(image, entry->d_name);
    (void)closedir(directory);
    return done;
}

static void add_entry(struct entries *entries, uint64_t number, char kind, const char *name)
{
    if (entries->at == NULL)
        entries->at = calloc(ENTRIES_MAX, sizeof *entries->at);
    if (entries->at == NULL || entries->count == ENTRIES_MAX) {
        fprintf(stderr, "powerloss_restore: too many files\n");
        abort();
    }
    struct entry *entry = &entries->at[entries->count++];
    entry->number = number;
    entry->kind = kind;
    (void)snprintf(entry->name, sizeof entry->name, "%s", name);
}

static void read_durable(const struct image *image, uint64_t number, struct entries *out)
{
    char path[PATH_MAX], line[NAME_BYTES + 64];
    (void)snprintf(path, sizeof path, "%s.durable/dirs/%" PRIu64, image->directory, number);
    FILE *list = fopen(path, "re");
    if (list == NULL)
        return; /* never synced: empty */
    while (fgets(line, sizeof line, list) != NULL) {
        char *end = NULL;
        uint64_t inode = strtoull(line, &end, 10);
        line[strcspn(line, "\n")] = '\0';
        add_entry(out, inode, end[1], end + 3);
    }
    (void)fclose(list);
}

static void read_current(const char *path, struct entries *out)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        struct stat info;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0)
            add_entry(out, info.st_ino, S_ISDIR(info.st_mode) ? 'd' : 'f', entry->d_name);
    }
    (void)closedir(directory);
}

static struct entry *find_entry(const struct entries *entries, const char *name)
{
    for (size_t i = 0; i < entries->count; i++)
        if (strcmp(entries->at[i].name, name) == 0)
            return &entries->at[i];
    return NULL;
}

/* The durable names; where the two differ, and chance says so, the current ones. */
static struct entries choose(struct image *image, const struct entries *durable,
                             const struct entries *current)
{
    struct entries chosen = {0};
    for (size_t i = 0; i < durable->count; i++) {
        const struct entry *entry = &durable->at[i];
        const struct entry *now = find_entry(current, entry->name);
        bool changed = now == NULL || now->number != entry->number;
        if (changed && coin(image))
            entry = now;
        if (entry != NULL)
            add_entry(&chosen, entry->number, entry->kind, entry->name);
    }
    for (size_t i = 0; i < current->count; i++) {
        const struct entry *entry = &current->at[i];
        if (find_entry(durable, entry->name) == NULL && coin(image))
            add_entry(&chosen, entry->number, entry->kind, entry->name);
    }
    return chosen;
}

/* Builds `to` from the chosen names of the directory `number`, which stands at `from` now. */
static bool restore_directory(struct image *image, uint64_t number, const char *from,
                              const char *to)
{
    struct entries durable = {0}, current = {0};
    read_durable(image, number, &durable);
    read_current(from, &current);
    struct entries chosen = choose(image, &durable, &current);
    bool done = mkdir(to, 0700) == 0 || fail("make", to);
    for (size_t i = 0; done && i < chosen.count; i++) {
        const struct entry *entry = &chosen.at[i];
        char target[PATH_MAX], source[PATH_MAX];
        (void)snprintf(target, sizeof target, "%s/%s", to, entry->name);
        if (entry->kind == 'd') {
            (void)snprintf(source, sizeof source, "%s/%s", from, entry->name);
            done = restore_directory(image, entry->number, source, target);
            continue;
        }
        (void)snprintf(source, sizeof source, "%s.durable/live/%" PRIu64, image->directory,
                       entry->number);
        /* A file that was never opened for writing nor in a synced directory has no link there. */
        done = link(source, target) == 0 || errno == ENOENT || fail("restore", target);
    }
    free(durable.at);
    free(current.at);
    free(chosen.at);
    return done;
}

bool powerloss_image_restore(const char *directory, uint64_t seed)
{
    char journal[PATH_MAX], fresh[PATH_MAX];
    struct stat info;
    struct image image = {directory, seed == 0 ? 0 : seed * UINT64_C(0x9e3779b97f4a7c15) | 1};
    (void)snprintf(journal, sizeof journal, "%s.durable", directory);
    (void)snprintf(fresh, sizeof fresh, "%s.restored", directory);
    if (access(journal, F_OK) != 0)
        return fail("find the journal", journal);
    if (stat(directory, &info) != 0) /* it was never made */
        return remove_tree(journal);
    return remove_tree(fresh) && restore_files(&image) &&
           restore_directory(&image, info.st_ino, directory, fresh) && remove_tree(directory) &&
           (rename(fresh, directory) == 0 || fail("rename", fresh)) && remove_tree(journal);
}
