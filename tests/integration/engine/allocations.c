#include "allocations.h"

#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* glibc's own, under the names that stay when `malloc` is somebody else's. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static struct {
    _Atomic uint64_t count, rocksdb; /* written by their thread alone */
    char name[ALLOCATIONS_NAME_MAX];
} threads[ALLOCATIONS_THREADS_MAX];
static _Atomic uint32_t thread_count;
static _Thread_local uint32_t mine; /* from 1; 0: this thread has allocated nothing yet */

static uintptr_t rocksdb_begin, rocksdb_end; /* set before there are threads */

static int look_at(struct dl_phdr_info *info, size_t size, void *user)
{
    (void)size;
    (void)user;
    for (int i = 0; i < info->dlpi_phnum && strstr(info->dlpi_name, "librocksdb") != NULL; i++) {
        uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        if (info->dlpi_phdr[i].p_type != PT_LOAD || (info->dlpi_phdr[i].p_flags & PF_X) == 0)
            continue;
        rocksdb_begin = begin;
        rocksdb_end = begin + info->dlpi_phdr[i].p_memsz;
    }
    return 0;
}

void allocations_init(void) { (void)dl_iterate_phdr(look_at, NULL); }

static void count_one(const void *caller)
{
    if (mine == 0) {
        uint32_t at = atomic_fetch_add_explicit(&thread_count, 1, memory_order_relaxed);
        if (at >= ALLOCATIONS_THREADS_MAX)
            abort();
        mine = at + 1;
        (void)prctl(PR_GET_NAME, threads[at].name);
    }
    atomic_fetch_add_explicit(&threads[mine - 1].count, 1, memory_order_relaxed);
    if ((uintptr_t)caller >= rocksdb_begin && (uintptr_t)caller < rocksdb_end)
        atomic_fetch_add_explicit(&threads[mine - 1].rocksdb, 1, memory_order_relaxed);
}

void *malloc(size_t bytes)
{
    count_one(__builtin_return_address(0));
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    count_one(__builtin_return_address(0));
    return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    count_one(__builtin_return_address(0));
    return __libc_realloc(old, bytes);
}

void *memalign(size_t alignment, size_t bytes)
{
    count_one(__builtin_return_address(0));
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    count_one(__builtin_return_address(0));
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    count_one(__builtin_return_address(0));
    *out = __libc_memalign(alignment, bytes);
    return *out == NULL ? ENOMEM : 0;
}

void *allocations_make(size_t alignment, size_t bytes, const void *caller)
{
    count_one(caller);
    return alignment == 0 ? __libc_malloc(bytes) : __libc_memalign(alignment, bytes);
}

void allocations_take(struct allocations *out)
{
    out->threads = atomic_load_explicit(&thread_count, memory_order_relaxed);
    for (uint32_t i = 0; i < out->threads; i++) {
        out->counts[i] = atomic_load_explicit(&threads[i].count, memory_order_relaxed);
        out->rocksdb[i] = atomic_load_explicit(&threads[i].rocksdb, memory_order_relaxed);
    }
}

uint64_t allocations_between(const struct allocations *before, const struct allocations *after,
                             const char *name, uint64_t *rocksdb)
{
    uint64_t sum = 0;
    *rocksdb = 0;
    for (uint32_t i = 0; i < after->threads; i++) {
        if (strncmp(threads[i].name, name, ALLOCATIONS_NAME_MAX) != 0)
            continue;
        bool is_new = i >= before->threads;
        sum += after->counts[i] - (is_new ? 0 : before->counts[i]);
        *rocksdb += after->rocksdb[i] - (is_new ? 0 : before->rocksdb[i]);
    }
    return sum;
}
