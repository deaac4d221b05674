/* One process, and in it one handle, per state directory. RocksDB takes a POSIX lock on DIR/LOCK
 * when it opens for writing, but none when it opens for reading, and a POSIX lock neither keeps out
 * the own process nor survives the closing of any descriptor of the file. So claims of this process
 * are kept in a list, and readers take the file's lock here.
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

/* Claims the existing directory `path`; `lock_file`: also locks DIR/LOCK (readers).
 * STRID_EBUSY names the process that holds it. The struct stays where it is until release. */
strid_status rocksdb_lock_claim(struct rocksdb_lock *lock, const char *path, bool lock_file,
                                strid_error *err);
void rocksdb_lock_release(struct rocksdb_lock *lock); /* does nothing where it is not held */

/* Whether RocksDB's open failure `text` says that another process holds the lock; if so fills err
 * with STRID_EBUSY. Only while the directory is claimed: it opens and closes DIR/LOCK. */
bool rocksdb_lock_explain(const char *text, const char *path, strid_error *err);

#endif
