/* Allocation that cannot fail: out of memory ends the process with a message, everything else would
 * pretend. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

void *memory_alloc(size_t bytes) __attribute__((malloc, returns_nonnull));
void *memory_alloc_zeroed(size_t bytes) __attribute__((malloc, returns_nonnull));
void *memory_alloc_aligned(size_t alignment, size_t bytes) __attribute__((malloc, returns_nonnull));
/* The same, and nothing is written to it: pages that are never used are never touched. */
void *memory_alloc_aligned_unset(size_t alignment, size_t bytes)
    __attribute__((returns_nonnull, warn_unused_result)); /* zeroed */
void *memory_resize(void *old, size_t bytes) __attribute__((returns_nonnull));
char *memory_copy_text(const char *text) __attribute__((malloc)); /* NULL for NULL */
void memory_free(void *memory);

/* Large memory, zeroed, apart from all other: in huge pages where the machine gives them, since
 * reading it all over would miss the processor's table of pages at nearly every step. Growing moves
 * addresses, not bytes. `old` may be NULL, of 0 bytes. */
void *memory_map(void *old, size_t old_bytes, size_t bytes) __attribute__((returns_nonnull));
void memory_unmap(void *memory, size_t bytes);

#endif
