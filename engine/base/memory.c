#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *checked(void *memory, size_t bytes)
{
    if (memory == NULL && bytes > 0) {
        fprintf(stderr,
                "strid: out of memory: %zu bytes could not be allocated; lower `memory:` or give "
                "the process more\n",
                bytes);
        abort();
    }
    return memory;
}

void *memory_alloc(size_t bytes) { return checked(malloc(bytes == 0 ? 1 : bytes), bytes); }
void *memory_alloc_zeroed(size_t bytes)
{
    return checked(calloc(1, bytes == 0 ? 1 : bytes), bytes);
}
void *memory_resize(void *old, size_t bytes)
{
    return checked(realloc(old, bytes == 0 ? 1 : bytes), bytes);
}
void memory_free(void *memory) { free(memory); }

static size_t round_up(size_t bytes, size_t alignment)
{
    return (bytes + alignment - 1) / alignment * alignment;
}

void *memory_alloc_aligned_unset(size_t alignment, size_t bytes)
{
    size_t rounded = round_up(bytes, alignment);
    return checked(aligned_alloc(alignment, rounded), rounded);
}

void *memory_alloc_aligned(size_t alignment, size_t bytes)
{
    return memset(memory_alloc_aligned_unset(alignment, bytes), 0, round_up(bytes, alignment));
}

void *memory_map(void *old, size_t old_bytes, size_t bytes)
{
    void *memory = old == NULL ? mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                               : mremap(old, old_bytes, bytes, MREMAP_MAYMOVE);
    (void)checked(memory == MAP_FAILED ? NULL : memory, bytes);
    (void)madvise(memory, bytes, MADV_HUGEPAGE); /* advice only */
    return memory;
}

void memory_unmap(void *memory, size_t bytes)
{
    if (memory != NULL)
        (void)munmap(memory, bytes);
}

char *memory_copy_text(const char *text)
{
    return text == NULL ? NULL : checked(strdup(text), strlen(text) + 1);
}
