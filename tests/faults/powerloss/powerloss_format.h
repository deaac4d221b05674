/* What the power-loss shim leaves beside the directory DIR that it watches, and powerloss_restore
 * reads:
 *
 *   DIR.durable/live/INODE    a hard link to every file: its bytes as the process wrote them, also
 *                             after it was unlinked (so that no inode number is used twice)
 *   DIR.durable/state/INODE   struct powerloss_state, then undo records: what of it is durable
 *   DIR.durable/dirs/INODE    the names in a directory at its last fsync: "INODE KIND NAME" a line,
 *                             KIND f or d
 *
 * A file is durable up to the length it had at its last fsync; bytes below that which were
 * overwritten or cut off since are in undo records, in the order of the changes. */
#ifndef POWERLOSS_FORMAT_H
#define POWERLOSS_FORMAT_H

#include <stdint.h>

struct powerloss_state {
    uint64_t durable_len;
    uint64_t undo_start; /* offset in the state file of the first record that counts */
    uint64_t undo_end;
};

struct powerloss_undo { /* followed by `len` bytes */
    uint64_t offset;
    uint64_t len;
};

#endif
