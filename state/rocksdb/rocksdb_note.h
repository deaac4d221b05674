/* The file SYNCED of a state directory: the highest block number that a sync is known to cover.
 * RocksDB ends its reading of a write-ahead log at the first damage it meets, and takes that for
 * the end of what a power loss left; this file, beside the log, says that more was there.
 *
 * It is written behind each sync and never synced itself: it may be older than the truth, or gone,
 * but never ahead of it.
 * @thread storage, and control while nothing else runs */
#ifndef STATE_ROCKSDB_NOTE_H
#define STATE_ROCKSDB_NOTE_H

#include <stdint.h>

#define ROCKSDB_NOTE_NAME "SYNCED"

struct rocksdb_note {
    const char *path; /* of the directory */
    int fd;           /* -1: not open */
};

void rocksdb_note_put(struct rocksdb_note *note, uint64_t number);
/* 0: nothing is known. */
uint64_t rocksdb_note_get(const struct rocksdb_note *note);
void rocksdb_note_close(struct rocksdb_note *note);

#endif
