/* A preloaded library that makes the loss of power testable: with STRID_POWERLOSS_DIR=DIR in the
 * environment it notes what of DIR is synced while all calls go through as they are. After a
 * SIGKILL, powerloss_restore takes away the rest.
 *
 * Only calls of open, write, truncate and sync are watched. Names need no watching: what counts is
 * what a directory holds when it is synced. sync_file_range makes nothing durable, so it is not
 * watched either; writes through mmap or a duplicated descriptor are not seen.
 *
 * The calls are made by syscall(), so that nothing has to be looked up before the first one.
 * @thread any */
#include "powerloss_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define WATCHED __attribute__((visibility("default")))

enum { FILES_MAX = 1 << 16 };

static atomic_bool watching; /* @pairs journal_open: release after, acquire before */
static struct journal_inode *_Atomic files[FILES_MAX]; /* by descriptor, open for writing */

__attribute__((constructor)) static void begin(void)
{
    const char *root = getenv("STRID_POWERLOSS_DIR");
    if (root == NULL || root[0] == '\0')
        return;
    journal_open(root);
    atomic_store_explicit(&watching, true, memory_order_release);
}

static bool is_watching(void) { return atomic_load_explicit(&watching, memory_order_acquire); }

static struct journal_inode *file_of(int fd)
{
    return fd < 0 || fd >= FILES_MAX ? NULL
                                     : atomic_load_explicit(&files[fd], memory_order_acquire);
}

static bool covered(int fd)
{
    char link[64], path[PATH_MAX];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len <= 0)
        return false;
    path[len] = '\0';
    return journal_covers(path);
}

static void watch(int fd)
{
    struct stat info;
    if (fd < FILES_MAX && covered(fd) && fstat(fd, &info) == 0 && S_ISREG(info.st_mode))
        atomic_store_explicit(&files[fd], journal_track(fd), memory_order_release);
}

static int watched_open(int directory, const char *path, int flags, mode_t mode)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY && is_watching();
    if (writes && (flags & O_TRUNC) != 0) { /* what it cuts off has to be saved before */
        long old = syscall(SYS_openat, directory, path, O_RDONLY | O_CLOEXEC, 0);
        struct stat info;
        if (old >= 0) {
            if (covered((int)old) && fstat((int)old, &info) == 0 && S_ISREG(info.st_mode))
                journal_save(journal_track((int)old), 0, UINT64_MAX);
            (void)syscall(SYS_close, (int)old);
        }
    }
    int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
    if (fd >= 0 && writes) {
        int reason = errno;
        watch(fd);
        errno = reason;
    }
    return fd;
}

static mode_t mode_argument(int flags, va_list args)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? (mode_t)va_arg(args, int) : 0;
}

#define WATCHED_OPEN(name)                                                                         \
    WATCHED int name(const char *path, int flags, ...)                                             \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = mode_argument(flags, args);                                                  \
        va_end(args);                                                                              \
        return watched_open(AT_FDCWD, path, flags, mode);                                          \
    }
#define WATCHED_OPENAT(name)                                                                       \
    WATCHED int name(int directory, const char *path, int flags, ...)                              \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode_t mode = mode_argument(flags, args);                                                  \
        va_end(args);                                                                              \
        return watched_open(directory, path, flags, mode);                                         \
    }

WATCHED_OPEN(open)
WATCHED_OPEN(open64)
WATCHED_OPENAT(openat)
WATCHED_OPENAT(openat64)

/* What the C library's fortified headers call. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int directory, const char *path, int flags);
int __openat64_2(int directory, const char *path, int flags);
WATCHED int __open_2(const char *path, int flags) { return open(path, flags, 0); }
WATCHED int __open64_2(const char *path, int flags) { return open(path, flags, 0); }
WATCHED int __openat_2(int directory, const char *path, int flags)
{
    return openat(directory, path, flags, 0);
}
WATCHED int __openat64_2(int directory, const char *path, int flags)
{
    return openat(directory, path, flags, 0);
}
WATCHED int creat(const char *path, mode_t mode)
{
    return watched_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}
WATCHED int creat64(const char *path, mode_t mode) { return creat(path, mode); }

WATCHED int close(int fd)
{
    if (fd >= 0 && fd < FILES_MAX)
        atomic_store_explicit(&files[fd], NULL, memory_order_release);
    return (int)syscall(SYS_close, fd);
}

static void before_write(int fd, uint64_t offset, uint64_t len)
{
    struct journal_inode *inode = file_of(fd);
    if (inode == NULL || offset >= atomic_load_explicit(&inode->durable_len, memory_order_relaxed))
        return;
    int reason = errno;
    journal_save(inode, offset, len);
    errno = reason;
}

/* Where write() will write; only for files that are watched. */
static uint64_t position(int fd)
{
    struct stat info;
    if ((fcntl(fd, F_GETFL) & O_APPEND) != 0 && fstat(fd, &info) == 0)
        return (uint64_t)info.st_size;
    off_t at = lseek(fd, 0, SEEK_CUR);
    return at < 0 ? UINT64_MAX : (uint64_t)at;
}

static uint64_t total(const struct iovec *parts, int count)
{
    uint64_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += parts[i].iov_len;
    return bytes;
}

WATCHED ssize_t write(int fd, const void *data, size_t len)
{
    if (file_of(fd) != NULL)
        before_write(fd, position(fd), len);
    return syscall(SYS_write, fd, data, len);
}

WATCHED ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (file_of(fd) != NULL)
        before_write(fd, position(fd), total(parts, count));
    return syscall(SYS_writev, fd, parts, count);
}

WATCHED ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    before_write(fd, (uint64_t)offset, len);
    return syscall(SYS_pwrite64, fd, data, len, offset);
}

WATCHED ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return pwrite(fd, data, len, offset);
}

WATCHED ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    before_write(fd, (uint64_t)offset, total(parts, count));
    return syscall(SYS_pwritev, fd, parts, count, offset, 0L);
}

WATCHED ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return pwritev(fd, parts, count, offset);
}

WATCHED int ftruncate(int fd, off_t len)
{
    before_write(fd, (uint64_t)len, UINT64_MAX);
    return (int)syscall(SYS_ftruncate, fd, len);
}

WATCHED int ftruncate64(int fd, off64_t len) { return ftruncate(fd, len); }

WATCHED int truncate(const char *path, off_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = ftruncate(fd, len);
    int reason = errno;
    (void)close(fd);
    errno = reason;
    return result;
}

WATCHED int truncate64(const char *path, off64_t len) { return truncate(path, len); }

static int watched_sync(long call, int fd)
{
    struct stat info;
    if (!is_watching() || !covered(fd) || fstat(fd, &info) != 0)
        return (int)syscall(call, fd);
    if (S_ISDIR(info.st_mode)) {
        int result = (int)syscall(call, fd);
        if (result == 0)
            journal_sync_directory(fd);
        return result;
    }
    struct journal_inode *inode = journal_track(fd);
    struct journal_mark mark = journal_sync_begin(inode, fd);
    int result = (int)syscall(call, fd);
    if (result == 0)
        journal_sync_end(inode, mark);
    return result;
}

WATCHED int fsync(int fd) { return watched_sync(SYS_fsync, fd); }
WATCHED int fdatasync(int fd) { return watched_sync(SYS_fdatasync, fd); }
