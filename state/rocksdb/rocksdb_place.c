#include "rocksdb_place.h"

#include "base/error.h"
#include "rocksdb_lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPONENT "rocksdb"

/* What stands in a directory without a file CURRENT. */
struct contents {
    char foreign[NAME_MAX + 1]; /* a file that a crash while a database was made does not leave */
    bool is_database;           /* files that only a database that was used has */
};

static strid_status sync_parent(const char *path, strid_error *err)
{
    char parent[PATH_MAX];
    (void)snprintf(parent, sizeof parent, "%s", path);
    size_t len = strlen(parent);
    while (len > 1 && parent[len - 1] == '/')
        parent[--len] = '\0';
    char *slash = strrchr(parent, '/');
    const char *directory = slash == NULL ? "." : (slash == parent ? "/" : parent);
    if (slash != NULL && slash != parent)
        *slash = '\0';
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, COMPONENT, "cannot open %s", directory);
    int reason = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    /* Some file systems cannot sync a directory; then there is nothing to wait for. */
    if (reason != 0 && reason != EINVAL)
        return error_set_errno(err, reason, COMPONENT, "cannot sync %s", directory);
    return STRID_OK;
}

static bool matches(const char *name, const char *const *patterns)
{
    for (; *patterns != NULL; patterns++)
        if (fnmatch(*patterns, name, 0) == 0)
            return true;
    return false;
}

static strid_status look_into(const char *path, struct contents *contents, strid_error *err)
{
    /* A crash while a database was made leaves a few of RocksDB's names. */
    static const char *const young[] = {"LOG*",    "LOCK",   "IDENTITY", "MANIFEST-*", "OPTIONS-*",
                                        "*.dbtmp", "ingest", ".",        "..",         NULL};
    static const char *const data[] = {"*.sst", "*.log", NULL};
    bool has_manifest = false, has_data = false, was_synced = false;
    const struct dirent *entry;
    *contents = (struct contents){.is_database = false};
    DIR *directory = opendir(path);
    if (directory == NULL)
        return error_set_errno(err, errno, COMPONENT,
                               "%s cannot be a state directory; name another one", path);
    while ((entry = readdir(directory)) != NULL) {
        if (!matches(entry->d_name, young))
            (void)snprintf(contents->foreign, sizeof contents->foreign, "%s", entry->d_name);
        has_manifest = has_manifest || strncmp(entry->d_name, "MANIFEST-", 9) == 0;
        has_data = has_data || matches(entry->d_name, data);
        was_synced = was_synced || strcmp(entry->d_name, "SYNCED") == 0;
    }
    (void)closedir(directory);
    contents->is_database = was_synced || (has_manifest && has_data);
    return STRID_OK;
}

static strid_status no_current(const char *path, strid_error *err)
{
    return error_set(err, STRID_ECORRUPT, COMPONENT,
                     "the state in %s is damaged, its file CURRENT is missing; restore a backup of "
                     "it, or move it away and process the source again from its beginning",
                     path);
}

/* A directory in which somebody else keeps files is not made a database of: RocksDB removes what
 * looks like its own. */
static strid_status check_foreign(const char *path, strid_error *err)
{
    struct contents contents;
    STRID_TRY(look_into(path, &contents, err));
    if (contents.is_database)
        return no_current(path, err);
    if (contents.foreign[0] == '\0')
        return STRID_OK;
    return error_set(err, STRID_ESTATE, COMPONENT,
                     "%s holds no state of strid, but other files (%s); name a directory of its "
                     "own for the state",
                     path, contents.foreign);
}

/* Nothing may be made. */
static strid_status refuse_missing(const char *path, strid_error *err)
{
    struct contents contents;
    if (look_into(path, &contents, NULL) == STRID_OK && contents.is_database)
        return no_current(path, err);
    return error_set(err, STRID_ENOTFOUND, COMPONENT,
                     "there is no state in %s; a run of the pipeline makes it", path);
}

strid_status rocksdb_place_prepare(const struct store_config *config, bool *made, strid_error *err)
{
    char current[PATH_MAX];
    if (snprintf(current, sizeof current, "%s/CURRENT", config->path) >= (int)sizeof current)
        return error_set(err, STRID_EIO, COMPONENT, "the path %s is too long", config->path);
    if (access(current, F_OK) == 0)
        return STRID_OK;
    if (!config->create || config->read_only) {
        if (errno == ENOENT)
            return refuse_missing(config->path, err);
        return error_set_errno(err, errno, COMPONENT, "cannot read %s", config->path);
    }
    if (mkdir(config->path, 0700) != 0) {
        if (errno == EEXIST)
            return check_foreign(config->path, err);
        return error_set_errno(err, errno, COMPONENT, "cannot make the state directory %s",
                               config->path);
    }
    *made = true;
    return sync_parent(config->path, err);
}

/* By ourselves: RocksDB's own way needs several file descriptors, and the want of these may be why
 * we are here. Who comes while we hold the lock is refused; who comes behind its removal makes the
 * directory anew, or keeps it. */
void rocksdb_place_undo(const char *path)
{
    int lock = rocksdb_lock_take(path);
    DIR *directory = lock < 0 ? NULL : opendir(path);
    if (directory != NULL && faccessat(dirfd(directory), "CURRENT", F_OK, 0) != 0) {
        const struct dirent *entry;
        while ((entry = readdir(directory)) != NULL)
            if (strcmp(entry->d_name, "LOCK") != 0)
                (void)unlinkat(dirfd(directory), entry->d_name, 0);
        (void)unlinkat(dirfd(directory), "LOCK", 0);
        (void)rmdir(path);
    }
    if (directory != NULL)
        (void)closedir(directory);
    if (lock >= 0)
        (void)close(lock);
}
