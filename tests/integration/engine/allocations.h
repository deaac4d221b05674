/* Counts what each thread of this process allocates: the malloc family and operator new are defined
 * by the program itself, which the linker prefers to those of every library. */
#ifndef ENGINE_ALLOCATIONS_H
#define ENGINE_ALLOCATIONS_H

#include <stddef.h>
#include <stdint.h>

enum { ALLOCATIONS_THREADS_MAX = 256, ALLOCATIONS_NAME_MAX = 16 };

/* One line per thread that ever allocated, in the order of their first allocations. */
struct allocations {
    uint32_t threads;
    uint64_t counts[ALLOCATIONS_THREADS_MAX];
    uint64_t rocksdb[ALLOCATIONS_THREADS_MAX]; /* of them: made by the code of RocksDB */
};

void allocations_init(void); /* before the first thread: learns where RocksDB's code lies */

void allocations_take(struct allocations *out); /* @thread any; allocates nothing itself */

/* What threads of this name allocated between two snapshots; `rocksdb`: how much of it RocksDB did.
 */
uint64_t allocations_between(const struct allocations *before, const struct allocations *after,
                             const char *name, uint64_t *rocksdb);

/* What operator new is made of; `caller`: the code that asked. */
void *allocations_make(size_t alignment, size_t bytes, const void *caller);

#endif
