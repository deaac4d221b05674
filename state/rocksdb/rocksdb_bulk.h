/* Sorted files: written into DIR/ingest, one for each kind of key, then made part of the database
 * in one call. One load at a time.
 *
 *   next() -> ingest/NNNNNN.sst (one a kind, synced when finished) -> ingest -> linked as DIR/N.sst
 *
 * One file a kind, because RocksDB flushes the memtable first where any of its keys lies within the
 * range of a file: blocks lie in the memtable, and a file from `p` to `s` would span them.
 * @thread materialiser @locks the caller's, one load at a time */
#ifndef ROCKSDB_BULK_H
#define ROCKSDB_BULK_H

#include "state/store.h"

#include <rocksdb/c.h>

struct rocksdb_bulk {
    rocksdb_t *db;
    rocksdb_options_t *options; /* borrowed */
    const char *path;           /* borrowed */
    uint64_t next_file;
};

/* Removes what a killed load left in DIR/ingest; without effect where there is none. */
strid_status rocksdb_bulk_clean(const char *path, strid_error *err);

/* STRID_ESTORE: the outcome is unknown. */
strid_status rocksdb_bulk_load(struct rocksdb_bulk *bulk, store_next_fn next, void *user,
                               strid_error *err);

#endif
