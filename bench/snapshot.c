#include "snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"
#include "scratch.h"

static int copy_bytes(int from, int to)
{
    static char bytes[256 * 1024]; /* one thread copies */
    for (;;) {
        ssize_t got = read(from, bytes, sizeof bytes);
        if (got <= 0)
            return (int)got;
        for (ssize_t done = 0; done < got;) {
            ssize_t wrote = write(to, bytes + done, (size_t)(got - done));
            if (wrote < 0)
                return -1;
            done += wrote;
        }
    }
}

static int copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int result = in < 0 || out < 0 || copy_bytes(in, out) != 0 ? -1 : 0;
    int error = errno;
    if (in >= 0)
        (void)close(in);
    if (out >= 0)
        (void)close(out);
    return result == 0 ? 0 : measure_failed(to, strerror(error));
}

static bool is_sorted_file(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && strcmp(name + len - 4, ".sst") == 0;
}

/* Folders within (one for files on their way in) are empty while nobody has it open. */
static int copy_entry(const char *from, const char *to, const char *name)
{
    char source[MEASURE_PATH_MAX + 256];
    char target[MEASURE_PATH_MAX + 256];
    (void)snprintf(source, sizeof source, "%s/%s", from, name);
    (void)snprintf(target, sizeof target, "%s/%s", to, name);
    struct stat info;
    if (lstat(source, &info) != 0)
        return measure_failed(source, strerror(errno));
    if (!S_ISDIR(info.st_mode) && !is_sorted_file(name))
        return copy_file(source, target);
    int result = S_ISDIR(info.st_mode) ? mkdir(target, 0700) : link(source, target);
    return result == 0 ? 0 : measure_failed(target, strerror(errno));
}

static int copy_directory(const char *from, const char *to)
{
    scratch_remove(to);
    DIR *directory = opendir(from);
    if (directory == NULL)
        return measure_failed(from, strerror(errno));
    int result = mkdir(to, 0700) == 0 ? 0 : measure_failed(to, strerror(errno));
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(directory)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = copy_entry(from, to, entry->d_name);
    (void)closedir(directory);
    return result;
}

int snapshot_take(const char *directory, const char *kept)
{
    return copy_directory(directory, kept);
}

int snapshot_restore(const char *kept, const char *directory)
{
    return copy_directory(kept, directory);
}
