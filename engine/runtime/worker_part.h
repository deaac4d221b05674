/* What one step may bring into a worker's cache, or change in it: a sixteenth of the cache, once
 * for what is read ahead and once for what the handlers do, and the room of a block. Entries of
 * records in hand cannot be evicted, so that without a bound a chunk of 256 records with large
 * values takes 256 times their size. A part that is full ends behind the record in hand; the worker
 * seals where that is due, evicts, and goes on with the next part. Looked at only where something
 * was read or where a value that is no number was written, so that small state costs nothing.
 * @thread worker */
#ifndef RUNTIME_WORKER_PART_H
#define RUNTIME_WORKER_PART_H

#include "runtime/worker.h"

/* Of a block: what it has room for is an eighth more than the size at which it is sealed. */
enum { WORKER_PART_OVER = 8 };

static inline void worker_part_begin(struct worker *worker)
{
    const struct cache *cache = &worker->cache;
    worker->part.held_max =
        cache_held_bytes(cache) + worker->retry.changes.bytes + cache->bytes_max / WORKER_PARTS;
    worker->context.full = false;
}

static inline bool worker_part_is_full(const struct worker *worker)
{
    uint64_t block_bytes = worker->run->options.block_bytes;
    uint64_t waiting = worker->retry.changes.bytes; /* they go to the cache with the seal */
    return cache_held_bytes(&worker->cache) + waiting > worker->part.held_max ||
           worker->cache.dirty_bytes + waiting > block_bytes + block_bytes / WORKER_PART_OVER;
}

/* After something was added that may be large. */
static inline void worker_part_look(struct worker *worker)
{
    if (__builtin_expect(worker_part_is_full(worker), 0))
        worker->context.full = true;
}

/* How far the records up to `to` may be handled now. */
static inline uint32_t worker_part_end(const struct worker *worker, uint32_t to)
{
    uint32_t end = worker->context.full ? 0 : worker->part.fetched;
    return to < end ? to : end;
}

#endif
