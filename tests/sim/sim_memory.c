/* Maps of memory that the engine makes and gives back with each run are kept for the next one: a
 * run of the simulator is so short that the kernel's part in them took a fifth of the time. The
 * linker puts these in the place of the calls (CMakeLists.txt); not where a sanitizer wants to see
 * them. One thread. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "base/assert.h"

enum {
    SMALL_MAX = 256 << 10, /* cleared each time, as the kernel does */
    SMALL_MIN = 8 << 10,
    KINDS = 7, /* of small maps, each twice as large as the one before; then of ranges */
    RANGES = KINDS - 1,
    KEPT_MAX = 64
};
/* Ranges of addresses of the slabs, of which little is touched and nothing read before it is
 * written. */
static const size_t range_min = (size_t)128 << 20, range_max = (size_t)512 << 20;

void *__real_mmap64(void *addr, size_t len, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *addr, size_t len);
void *__real_mremap(void *old, size_t old_len, size_t len, int flags, ...);
int __real_madvise(void *addr, size_t len, int advice);
void *__wrap_mmap64(void *addr, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *addr, size_t len, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *addr, size_t len);
void *__wrap_mremap(void *old, size_t old_len, size_t len, int flags, ...);
int __wrap_madvise(void *addr, size_t len, int advice);

static void *kept[KINDS][KEPT_MAX];
static uint32_t kept_count[KINDS];

/* KINDS: not kept. */
static uint32_t kind_of(size_t len)
{
    uint32_t kind = 0;
    if (len >= range_min)
        return len <= range_max ? RANGES : KINDS;
    while (kind < RANGES && ((size_t)SMALL_MIN << kind) < len)
        kind++;
    return kind < RANGES ? kind : KINDS;
}

static size_t bytes_of(uint32_t kind)
{
    return kind == RANGES ? range_max : (size_t)SMALL_MIN << kind;
}

void *__wrap_mmap64(void *addr, size_t len, int protection, int flags, int fd, off_t offset)
{
    uint32_t kind = fd == -1 && addr == NULL ? kind_of(len) : KINDS;
    if (kind == KINDS)
        return __real_mmap64(addr, len, protection, flags, fd, offset);
    if (kept_count[kind] == 0)
        return __real_mmap64(NULL, bytes_of(kind), protection, flags | MAP_NORESERVE, -1, 0);
    void *map = kept[kind][--kept_count[kind]];
    return kind == RANGES ? map : memset(map, 0, len);
}

/* Which of both names a call goes to is a matter of how its file was compiled. */
void *__wrap_mmap(void *addr, size_t len, int protection, int flags, int fd, off_t offset)
{
    return __wrap_mmap64(addr, len, protection, flags, fd, offset);
}

int __wrap_munmap(void *addr, size_t len)
{
    uint32_t kind = kind_of(len);
    if (kind == KINDS)
        return __real_munmap(addr, len);
    if (kept_count[kind] == KEPT_MAX)
        return __real_munmap(addr, bytes_of(kind));
    kept[kind][kept_count[kind]++] = addr;
    return 0;
}

void *__wrap_mremap(void *old, size_t old_len, size_t len, int flags, ...)
{
    uint32_t kind = kind_of(old_len);
    STRID_ASSERT(flags == MREMAP_MAYMOVE && len >= old_len);
    if (kind == KINDS && kind_of(len) == KINDS)
        return __real_mremap(old, old_len, len, flags);
    void *map = __wrap_mmap64(NULL, len, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return map;
    memcpy(map, old, old_len);
    (void)__wrap_munmap(old, old_len);
    return map;
}

/* Huge pages are switched off in any case (sim.c). */
int __wrap_madvise(void *addr, size_t len, int advice)
{
    return advice == MADV_HUGEPAGE ? 0 : __real_madvise(addr, len, advice);
}
