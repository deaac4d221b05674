#include "file_appender.h"

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPONENT "file"

enum { BUFFER_BYTES_MAX = 1024 * 1024 };

void file_appender_init(struct file_appender *appender, const char *path)
{
    *appender = (struct file_appender){.path = memory_copy_text(path), .fd = -1};
}

static void close_file(struct file_appender *appender)
{
    if (appender->fd >= 0)
        (void)close(appender->fd);
    appender->fd = -1;
}

void file_appender_fini(struct file_appender *appender)
{
    close_file(appender);
    buffer_fini(&appender->buffer);
    memory_free(appender->path);
    appender->path = NULL;
}

strid_status file_appender_sync_directory(const char *path, strid_error *err)
{
    const char *slash = strrchr(path, '/');
    char *directory = memory_copy_text(slash == NULL ? "." : path);
    if (slash != NULL)
        directory[slash == path ? 1 : slash - path] = '\0';
    strid_status status = STRID_OK;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        status = error_set_errno(err, errno, COMPONENT, "directory %s cannot be synced", directory);
    if (fd >= 0)
        (void)close(fd);
    memory_free(directory);
    return status;
}

static strid_status write_all(struct file_appender *appender, const uint8_t *data, size_t len,
                              strid_error *err)
{
    appender->attempted_bytes += len;
    while (len > 0) {
        ssize_t put = write(appender->fd, data, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return error_set_errno(err, errno, COMPONENT, "%s cannot be written", appender->path);
        data += put;
        len -= (size_t)put;
    }
    return STRID_OK;
}

/* Cuts off what failed writes left, if that was not possible at once. */
static strid_status finish_cut(struct file_appender *appender, uint64_t size, strid_error *err)
{
    if (!appender->cut_pending)
        return STRID_OK;
    if (size > appender->attempted_bytes)
        return error_set(err, STRID_ECORRUPT, COMPONENT,
                         "%s has %" PRIu64 " bytes, as another program appended to it while a "
                         "write of ours failed: look at its end and move it away",
                         appender->path, size);
    if (size > appender->flushed_bytes &&
        ftruncate(appender->fd, (off_t)appender->flushed_bytes) != 0)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be cut back to %" PRIu64 " bytes",
                               appender->path, appender->flushed_bytes);
    appender->cut_pending = false;
    return STRID_OK;
}

/* A last line without its end, from a crash or from another program, gets one: nothing that we did
 * not write is ever cut off. */
static strid_status end_last_line(struct file_appender *appender, strid_error *err)
{
    char last = '\n';
    if (appender->flushed_bytes > 0 &&
        pread(appender->fd, &last, 1, (off_t)appender->flushed_bytes - 1) != 1)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be read", appender->path);
    return last == '\n' ? STRID_OK : write_all(appender, (const uint8_t *)"\n", 1, err);
}

static strid_status prepare(struct file_appender *appender, strid_error *err)
{
    struct stat info;
    if (flock(appender->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return error_set(err, STRID_EBUSY, COMPONENT,
                             "%s is being written by another sink or process: give each its own "
                             "file, or stop the other",
                             appender->path);
        return error_set_errno(err, errno, COMPONENT, "%s cannot be locked", appender->path);
    }
    if (fstat(appender->fd, &info) != 0)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be looked at", appender->path);
    if (!S_ISREG(info.st_mode))
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "%s is no regular file, so nothing written there would be durable: name a "
                         "file",
                         appender->path);
    strid_status status = finish_cut(appender, (uint64_t)info.st_size, err);
    if (status == STRID_OK && fstat(appender->fd, &info) != 0)
        status = error_set_errno(err, errno, COMPONENT, "%s cannot be looked at", appender->path);
    if (status != STRID_OK)
        return status;
    appender->flushed_bytes = (uint64_t)info.st_size;
    appender->attempted_bytes = appender->flushed_bytes;
    if (info.st_size == 0)
        return file_appender_sync_directory(appender->path, err);
    return end_last_line(appender, err);
}

strid_status file_appender_open(struct file_appender *appender, strid_error *err)
{
    if (appender->fd >= 0)
        return STRID_OK;
    /* Not blocking, so that a FIFO is refused below instead of waiting for its reader. */
    appender->fd = open(appender->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (appender->fd < 0)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be opened for writing",
                               appender->path);
    strid_status status = prepare(appender, err);
    if (status != STRID_OK)
        file_appender_rollback(appender);
    return status;
}

static strid_status write_out(struct file_appender *appender, strid_error *err)
{
    strid_status status = file_appender_open(appender, err);
    if (status == STRID_OK)
        status = write_all(appender, appender->buffer.data, appender->buffer.len, err);
    if (status == STRID_OK)
        buffer_clear(&appender->buffer);
    return status;
}

strid_status file_appender_write(struct file_appender *appender, strid_error *err)
{
    return appender->buffer.len < BUFFER_BYTES_MAX ? STRID_OK : write_out(appender, err);
}

strid_status file_appender_flush(struct file_appender *appender, strid_error *err)
{
    bool is_written = appender->attempted_bytes > appender->flushed_bytes && appender->fd >= 0;
    if (appender->buffer.len == 0 && !is_written)
        return STRID_OK;
    strid_status status = write_out(appender, err);
    if (status != STRID_OK)
        return status;
    CRASH_POINT("file_sink_written");
    if (fdatasync(appender->fd) != 0)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be synced", appender->path);
    struct stat info;
    if (fstat(appender->fd, &info) != 0)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be looked at", appender->path);
    if (info.st_nlink == 0)
        return error_set(err, STRID_EIO, COMPONENT,
                         "%s was removed while it was written; it is made again", appender->path);
    CRASH_POINT("file_sink_synced");
    appender->flushed_bytes = (uint64_t)info.st_size;
    appender->attempted_bytes = appender->flushed_bytes;
    return STRID_OK;
}

/* With a cut pending the lock may be another's by now; file_appender_open sees to it. */
void file_appender_rollback(struct file_appender *appender)
{
    buffer_clear(&appender->buffer);
    bool is_longer = appender->attempted_bytes > appender->flushed_bytes;
    struct stat info;
    if (appender->fd >= 0 && is_longer && !appender->cut_pending) {
        /* A file that somebody else made shorter must not be made longer, and one that another
         * program appended to not be cut. */
        appender->cut_pending = fstat(appender->fd, &info) != 0 ||
                                (uint64_t)info.st_size > appender->attempted_bytes ||
                                ((uint64_t)info.st_size > appender->flushed_bytes &&
                                 ftruncate(appender->fd, (off_t)appender->flushed_bytes) != 0);
        if (!appender->cut_pending)
            appender->attempted_bytes = appender->flushed_bytes;
    }
    close_file(appender);
}
