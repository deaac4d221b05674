/* The plain loops behind engine_count: count by key in RocksDB.
 *
 * batched: 1,000 records at a time, those of the same key counted together, one sorted batched
 * multi-get, one write batch. classic: a get and a put for each record. Both sync the log as often
 * as they are told, and at their end. reads: the multi-gets of batched alone, by one thread or
 * more; nothing is written. @thread one; that of reads starts others and waits for them */
#ifndef RAW_ROCKSDB_LOOP_H
#define RAW_ROCKSDB_LOOP_H

#include "database.h"
#include "keys.h"
#include "measure.h"

struct rocksdb_loop {
    const char *path;
    const struct database_memory *memory;
    double sync_every_s;
    struct keys *keys;
};

int rocksdb_loop_batched(const struct rocksdb_loop *loop, double seconds, struct bench_run *out);
int rocksdb_loop_classic(const struct rocksdb_loop *loop, double seconds, struct bench_run *out);
int rocksdb_loop_reads(const struct rocksdb_loop *loop, uint32_t threads, double seconds,
                       struct bench_run *out);

#endif
