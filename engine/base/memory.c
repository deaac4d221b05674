#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void *memory_alloc_aligned(size_t alignment, size_t bytes)
{
    size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    return memset(checked(aligned_alloc(alignment, rounded), rounded), 0, rounded);
}

char *memory_copy_text(const char *text)
{
    return text == NULL ? NULL : checked(strdup(text), strlen(text) + 1);
}
