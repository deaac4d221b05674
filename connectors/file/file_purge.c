/* The lines that stay are copied beside the file, synced and renamed over it, under the lock that
 * the file's appender holds, too: a node that opened the old file meanwhile finds at its next flush
 * that it was removed, and writes again. A copy that a crash left begins with a dot, which neither
 * sources nor listings look at, and the next purge overwrites it. */
#include "file_purge.h"

#include "base/crash_point.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"

#include "file_appender.h"
#include "file_browse.h"
#include "file_letter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPONENT "file"

struct purge {
    bool (*fn)(void *user, const strid_output *letter);
    void *user;
    struct json_parser *parser;
    struct file_letter letter;
    char *path;
    char *copy_path;
    FILE *from, *to;
    uint64_t dropped;
};

static char *make_copy_path(const char *path)
{
    static const char ending[] = ".purge";
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t size = strlen(path) + 1 + sizeof ending;
    char *copy_path = memory_alloc(size);
    (void)snprintf(copy_path, size, "%.*s.%s%s", (int)(name - path), path, name, ending);
    return copy_path;
}

/* Locks the file that the name stands for now; a purge that was quicker has replaced it. */
static strid_status lock_file(const struct purge *purge, struct stat *info, strid_error *err)
{
    struct stat named;
    int fd = fileno(purge->from);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno != EWOULDBLOCK)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be locked", purge->path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, info) != 0 ||
        stat(purge->path, &named) != 0 || named.st_ino != info->st_ino ||
        named.st_dev != info->st_dev)
        return error_set(err, STRID_EBUSY, COMPONENT,
                         "%s is being written by a node or another purge: stop it first",
                         purge->path);
    return STRID_OK;
}

static strid_status make_copy(struct purge *purge, const struct stat *info, strid_error *err)
{
    int fd = open(purge->copy_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    purge->to = fd < 0 ? NULL : fdopen(fd, "w");
    struct stat made;
    if (purge->to == NULL || fchmod(fd, info->st_mode & 07777) != 0 || fstat(fd, &made) != 0 ||
        ((made.st_uid != info->st_uid || made.st_gid != info->st_gid) &&
         fchown(fd, info->st_uid, info->st_gid) != 0))
        return error_set_errno(err, errno, COMPONENT, "%s cannot be made", purge->copy_path);
    return STRID_OK;
}

static strid_status copy_lines(struct purge *purge, strid_error *err)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    bool written = true;
    while (written && (len = getline(&line, &room, purge->from)) > 0) {
        strid_bytes text = strid_bytes_of(line, (size_t)len);
        if (file_letter_parse(&purge->letter, purge->parser, text) &&
            purge->fn(purge->user, &purge->letter.output))
            purge->dropped++;
        else
            written = fwrite(line, 1, (size_t)len, purge->to) == (size_t)len;
    }
    free(line); /* getline's own */
    if (ferror(purge->from))
        return error_set_errno(err, errno, COMPONENT, "%s cannot be read", purge->path);
    if (!written || fflush(purge->to) != 0)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be written", purge->copy_path);
    return STRID_OK;
}

static strid_status replace(struct purge *purge, strid_error *err)
{
    CRASH_POINT("dlq_purge_written");
    if (fsync(fileno(purge->to)) != 0)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be synced", purge->copy_path);
    CRASH_POINT("dlq_purge_synced");
    if (rename(purge->copy_path, purge->path) != 0)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be renamed to %s",
                               purge->copy_path, purge->path);
    CRASH_POINT("dlq_purge_renamed");
    return file_appender_sync_directory(purge->path, err);
}

/* Opens the file itself: a link stays, and what it leads to is replaced; also for writing, so that
 * one who may not is told. `from` NULL: none is there. */
static strid_status open_file(struct purge *purge, const char *path, strid_error *err)
{
    purge->from = NULL;
    purge->path = realpath(path, NULL);
    if (purge->path != NULL)
        purge->from = fopen(purge->path, "r+e");
    if (purge->from == NULL && errno != ENOENT)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be opened for writing", path);
    return STRID_OK;
}

static void close_file(struct purge *purge)
{
    if (purge->from != NULL)
        (void)fclose(purge->from);
    purge->from = NULL;
    free(purge->path); /* realpath's own */
    purge->path = NULL;
}

/* Of several files none is purged where one is in use. */
static strid_status check_file(void *user, const char *path, strid_error *err)
{
    struct purge *purge = user;
    struct stat info;
    strid_status status = open_file(purge, path, err);
    if (purge->from != NULL)
        status = lock_file(purge, &info, err);
    close_file(purge);
    return status;
}

static strid_status purge_file(void *user, const char *path, strid_error *err)
{
    struct purge *purge = user;
    struct stat info;
    purge->dropped = 0;
    strid_status status = open_file(purge, path, err);
    if (purge->from == NULL) {
        close_file(purge);
        return status;
    }
    purge->copy_path = make_copy_path(purge->path);
    status = lock_file(purge, &info, err);
    bool locked = status == STRID_OK;
    if (locked)
        status = make_copy(purge, &info, err);
    if (status == STRID_OK)
        status = copy_lines(purge, err);
    bool changed = status == STRID_OK && purge->dropped > 0;
    if (changed)
        status = replace(purge, err);
    if (locked && (!changed || status != STRID_OK))
        (void)unlink(purge->copy_path); /* gone already where it was renamed */
    if (purge->to != NULL)
        (void)fclose(purge->to);
    purge->to = NULL;
    close_file(purge);
    memory_free(purge->copy_path);
    return status;
}

strid_status file_purge(const strid_connector_args *args,
                        bool (*fn)(void *user, const strid_output *letter), void *user,
                        struct strid_dlq_purged *result, strid_error *err)
{
    (void)result; /* nothing is kept */
    struct purge purge = {.fn = fn, .user = user, .parser = json_parser_create()};
    strid_status status = file_browse_paths(args, check_file, &purge, err);
    if (status == STRID_OK)
        status = file_browse_paths(args, purge_file, &purge, err);
    json_parser_destroy(purge.parser);
    file_letter_fini(&purge.letter);
    return status;
}
