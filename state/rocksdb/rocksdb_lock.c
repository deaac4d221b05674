#include "rocksdb_lock.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPONENT "rocksdb"

enum { LOOK_MS = 5 };

static pthread_mutex_t claims_lock = PTHREAD_MUTEX_INITIALIZER; /* guards claims */
static struct rocksdb_lock *claims;

static struct flock whole_file(short type)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET};
    return range;
}

static strid_status busy(const char *path, pid_t pid, strid_error *err)
{
    if (pid == getpid())
        return error_set(err, STRID_EBUSY, COMPONENT,
                         "%s is already open in this process (pid %ld); a state directory belongs "
                         "to one pipeline",
                         path, (long)pid);
    if (pid > 0)
        return error_set(err, STRID_EBUSY, COMPONENT,
                         "%s is in use by process %ld; stop that process first, or use another "
                         "state directory",
                         path, (long)pid);
    return error_set(
        err, STRID_EBUSY, COMPONENT,
        "%s is in use by another process (fuser %s/LOCK says which); stop it first, or "
        "use another state directory",
        path, path);
}

/* The lock of another process on the file that keeps `type` out; F_UNLCK: none. Its pid is 0 where
 * that process is not visible from here. */
static struct flock lock_of_other(int fd, short type)
{
    struct flock range = whole_file(type);
    if (fcntl(fd, F_GETLK, &range) != 0)
        range = whole_file(F_UNLCK);
    return range;
}

static pid_t holder(int fd, short type)
{
    const struct flock range = lock_of_other(fd, type);
    return range.l_type == F_UNLCK ? 0 : range.l_pid;
}

static strid_status take_file(struct rocksdb_lock *lock, const char *path, strid_error *err)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s/LOCK", path) >= (int)sizeof name)
        return error_set(err, STRID_EIO, COMPONENT, "the path %s is too long", path);
    struct flock range = whole_file(F_RDLCK);
    lock->fd = open(name, O_RDONLY | O_CLOEXEC);
    if (lock->fd < 0 && errno == ENOENT)
        return STRID_OK; /* a copy without LOCK: nobody can hold it */
    if (lock->fd < 0)
        return error_set_errno(err, errno, COMPONENT, "cannot open %s", name);
    if (fcntl(lock->fd, F_SETLK, &range) == 0)
        return STRID_OK;
    int reason = errno;
    strid_status status = reason == EAGAIN || reason == EACCES
                              ? busy(path, holder(lock->fd, F_RDLCK), err)
                              : error_set_errno(err, reason, COMPONENT, "cannot lock %s", name);
    (void)close(lock->fd);
    lock->fd = -1;
    return status;
}

strid_status rocksdb_lock_claim(struct rocksdb_lock *lock, const char *path, bool lock_file,
                                strid_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return error_set_errno(err, errno, COMPONENT, "cannot look at %s", path);
    *lock = (struct rocksdb_lock){.device = info.st_dev, .inode = info.st_ino, .fd = -1};
    strid_status status = STRID_OK;
    (void)pthread_mutex_lock(&claims_lock);
    for (const struct rocksdb_lock *claim = claims; claim != NULL; claim = claim->next)
        if (claim->device == info.st_dev && claim->inode == info.st_ino)
            status = busy(path, getpid(), err);
    if (status == STRID_OK && lock_file)
        status = take_file(lock, path, err);
    if (status == STRID_OK) {
        lock->held = true;
        lock->next = claims;
        claims = lock;
    }
    (void)pthread_mutex_unlock(&claims_lock);
    return status;
}

void rocksdb_lock_release(struct rocksdb_lock *lock)
{
    if (!lock->held)
        return;
    (void)pthread_mutex_lock(&claims_lock);
    for (struct rocksdb_lock **at = &claims; *at != NULL; at = &(*at)->next) {
        if (*at == lock) {
            *at = lock->next;
            break;
        }
    }
    if (lock->fd >= 0)
        (void)close(lock->fd);
    (void)pthread_mutex_unlock(&claims_lock);
    *lock = (struct rocksdb_lock){.fd = -1};
}

/* Opens and closes DIR/LOCK, which the claim makes harmless: nothing of this process is open there.
 */
bool rocksdb_lock_has_readers(const char *path)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s/LOCK", path) >= (int)sizeof name)
        return false;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false; /* it has never been opened */
    const bool has_readers = lock_of_other(fd, F_WRLCK).l_type == F_RDLCK;
    (void)close(fd);
    return has_readers;
}

bool rocksdb_lock_await_readers(const char *path, int64_t until_ns)
{
    while (rocksdb_lock_has_readers(path)) {
        if (clock_monotonic_ns(&clock_system) >= until_ns)
            return false;
        (void)poll(NULL, 0, LOOK_MS);
    }
    return true;
}

int rocksdb_lock_take(const char *path)
{
    char name[PATH_MAX];
    struct flock range = whole_file(F_WRLCK);
    if (snprintf(name, sizeof name, "%s/LOCK", path) >= (int)sizeof name)
        return -1;
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && fcntl(fd, F_SETLK, &range) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

bool rocksdb_lock_explain(const char *text, const char *path, strid_error *err)
{
    if (strstr(text, "lock hold by current process") != NULL) {
        (void)busy(path, getpid(), err);
        return true;
    }
    if (strstr(text, "While lock file") == NULL)
        return false;
    char name[PATH_MAX];
    pid_t pid = 0;
    if (snprintf(name, sizeof name, "%s/LOCK", path) < (int)sizeof name) {
        int fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            pid = holder(fd, F_WRLCK);
            (void)close(fd);
        }
    }
    (void)busy(path, pid, err);
    return true;
}
