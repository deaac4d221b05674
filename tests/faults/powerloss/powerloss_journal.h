/* The shim's book-keeping: which bytes of which file, and which names of which directory, would
 * survive a power loss. Failures of its own end the process with a message: a test that goes on
 * without its book-keeping proves nothing.
 * @thread any @locks one mutex inside, never held during a sync */
#ifndef POWERLOSS_JOURNAL_H
#define POWERLOSS_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct journal_inode {
    struct journal_inode *next;
    ino_t number;
    _Atomic uint64_t durable_len; /* relaxed: writers look whether they have to save anything */
    uint64_t undo_start;
    uint64_t undo_end;
};

/* Begins watching `root` (need not exist); all that is in it counts as durable unless an earlier
 * process of the same run left a journal. */
void journal_open(const char *root);
bool journal_covers(const char *path); /* an absolute path below the root, or the root itself */

/* The file behind `fd`, which lies below the root; lives as long as the process. */
struct journal_inode *journal_track(int fd);
/* Before bytes from `offset` on are overwritten or cut off: saves those that are durable. */
void journal_save(struct journal_inode *inode, uint64_t offset, uint64_t len);

struct journal_mark {
    uint64_t len;
    uint64_t undo_end;
};
/* Around a sync of a file: what was there when it began is durable when it succeeded. */
struct journal_mark journal_sync_begin(struct journal_inode *inode, int fd);
void journal_sync_end(struct journal_inode *inode, struct journal_mark mark);
/* After a sync of a directory: its names are durable. */
void journal_sync_directory(int fd);

#endif
