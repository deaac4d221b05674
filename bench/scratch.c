#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

#define PREFIX "strid-bench."

/* Locks the directory for as long as it stays open; -1: another process has it, or it is gone. */
static int hold(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct stat held, there;
    if (fd < 0)
        return -1;
    /* Between its making and its lock somebody may have taken it for a left one. */
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &held) == 0 && stat(path, &there) == 0 &&
        held.st_ino == there.st_ino && held.st_dev == there.st_dev)
        return fd;
    (void)close(fd);
    return -1;
}

static void remove_left(const char *base)
{
    DIR *folder = opendir(base);
    if (folder == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[MEASURE_PATH_MAX];
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        int len = snprintf(path, sizeof path, "%s/%s", base, entry->d_name);
        int fd = len > 0 && (size_t)len < sizeof path ? hold(path) : -1;
        if (fd < 0)
            continue;
        fprintf(stderr, "strid-bench: removes %s, which a killed one has left\n", path);
        scratch_remove(path);
        (void)close(fd);
    }
    (void)closedir(folder);
}

int scratch_create(const char *base, char *out, size_t size)
{
    remove_left(base);
    for (;;) {
        int len = snprintf(out, size, "%s/" PREFIX "XXXXXX", base);
        if (len < 0 || (size_t)len >= size)
            return measure_failed(base, "the path is too long");
        if (mkdtemp(out) == NULL)
            return measure_failed(out, strerror(errno));
        if (hold(out) >= 0) /* until the process ends */
            return 0;
    }
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void scratch_remove(const char *path) { (void)nftw(path, remove_entry, 32, FTW_DEPTH | FTW_PHYS); }
