/* A borrowed view of bytes. It never owns; who hands it out says how long it lives. */
#ifndef STRID_BYTES_H
#define STRID_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <strid/export.h>

typedef struct strid_bytes {
    const uint8_t *data; /* NULL: absent, which is not the same as empty */
    size_t len;
} strid_bytes;

STRID_BEGIN_DECLS

/** @brief View of `len` bytes at `data`. Thread safety: any thread. */
static inline strid_bytes strid_bytes_of(const void *data, size_t len)
{
    strid_bytes bytes;
    bytes.data = (const uint8_t *)data;
    bytes.len = len;
    return bytes;
}

/** @brief View of a C string without its terminator; absent for NULL. Thread safety: any thread. */
static inline strid_bytes strid_bytes_of_text(const char *text)
{
    return strid_bytes_of(text, text == NULL ? 0 : strlen(text));
}

/** @brief Whether two views have the same content; an absent view equals an empty one. Thread
 * safety: any thread. */
static inline int strid_bytes_equal(strid_bytes a, strid_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

STRID_END_DECLS

#endif
