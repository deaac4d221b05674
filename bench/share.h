/* How the memory of a workload is shared out on the raw side. @thread any */
#ifndef BENCH_SHARE_H
#define BENCH_SHARE_H

#include "measure.h"
#include "raw/database.h"

/* What a raw loop makes of as much memory as the engine has: memtables of the same size, and all
 * that the engine spends on chunks, blocks, folding and its own caches as block cache. What the
 * process takes for itself is left out on both sides. */
void share_divide(const struct bench_settings *settings, struct database_memory *out);

/* Of the engine: what was asked for, else one for each core. */
uint32_t share_workers(const struct bench_settings *settings);

/* How many bytes of blocks the engine may keep that it has not yet materialised. */
uint64_t share_redo_bytes(const struct bench_settings *settings);

/* What a source that reads ahead may take. */
uint64_t share_source_bytes(const struct bench_settings *settings);

#endif
