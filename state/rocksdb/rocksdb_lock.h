/* One writing process, or readers, and in a process one handle, per state directory. RocksDB takes
 * a POSIX lock on DIR/LOCK when it opens for writing, but none when it opens for reading, and a
 * POSIX lock neither keeps out the own process nor survives the closing of any descriptor of the
 * file. So claims of this process are kept in a list, and readers take the file's lock here: a
 * shared one, which keeps writers out and other readers not, and which whoever comes to write waits
 * out for a while, since a tool that only looks must not keep a node from starting.
 * @thread any @locks one mutex inside, which guards the list */
#ifndef ROCKSDB_LOCK_H
#define ROCKSDB_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

#include <strid/error.h>

struct rocksdb_lock {
    struct rocksdb_lock *next; /* list of this process's claims */
    dev_t device;
    ino_t inode; /* of the directory */
    int fd;      /* of DIR/LOCK for readers; else -1 */
    bool held;
};

/* Claims the existing directory `path`; `lock_file`: also locks DIR/LOCK against writers (readers).
 * STRID_EBUSY names the process that holds it. The struct stays where it is until release. */
strid_status rocksdb_lock_claim(struct rocksdb_lock *lock, const char *path, bool lock_file,
                                strid_error *err);
void rocksdb_lock_release(struct rocksdb_lock *lock); /* does nothing where it is not held */

/* Waits until no other process reads the claimed directory, or it is `until_ns` (monotonic).
 * Whether the time is not over. */
bool rocksdb_lock_await_readers(const char *path, int64_t until_ns);
/* Whether another process that reads keeps writers out. */
bool rocksdb_lock_has_readers(const char *path);

/* Locks DIR/LOCK as who writes does: its descriptor, whose closing lets go of it; -1: somebody has
 * it. Only while the directory is claimed, and nothing of it is open. */
int rocksdb_lock_take(const char *path);

/* Whether RocksDB's open failure `text` says that another process holds the lock; if so fills err
 * with STRID_EBUSY. Only while the directory is claimed: it opens and closes DIR/LOCK. */
bool rocksdb_lock_explain(const char *text, const char *path, strid_error *err);

#endif
