/* A growing byte buffer, owned by one thread, reused by buffer_clear(). Little-endian integers. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <string.h>

#include <strid/bytes.h>

struct buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

void buffer_fini(struct buffer *buffer);
void buffer_grow(struct buffer *buffer, size_t more); /* room for `more` further bytes */

static inline void buffer_clear(struct buffer *buffer) { buffer->len = 0; }
static inline strid_bytes buffer_bytes(const struct buffer *buffer)
{
    return strid_bytes_of(buffer->data, buffer->len);
}

static inline uint8_t *buffer_reserve(struct buffer *buffer, size_t more)
{
    if (__builtin_expect(buffer->capacity - buffer->len < more, 0))
        buffer_grow(buffer, more);
    return buffer->data + buffer->len;
}

static inline void buffer_put(struct buffer *buffer, const void *data, size_t len)
{
    if (len == 0) /* both may be null */
        return;
    memcpy(buffer_reserve(buffer, len), data, len);
    buffer->len += len;
}

static inline void buffer_put_bytes(struct buffer *buffer, strid_bytes bytes)
{
    buffer_put(buffer, bytes.data, bytes.len);
}
static inline void buffer_put_u8(struct buffer *buffer, uint8_t value)
{
    buffer_put(buffer, &value, 1);
}
static inline void buffer_put_u32(struct buffer *buffer, uint32_t value)
{
    buffer_put(buffer, &value, 4);
}
static inline void buffer_put_u64(struct buffer *buffer, uint64_t value)
{
    buffer_put(buffer, &value, 8);
}
void buffer_put_varint(struct buffer *buffer, uint64_t value);
/* For texts that are made often: a tenth of what buffer_printf takes. */
void buffer_put_text(struct buffer *buffer, const char *text);
void buffer_put_decimal(struct buffer *buffer, uint64_t value);
void buffer_printf(struct buffer *buffer, const char *format, ...) STRID_PRINTF(2, 3);

/* Reads what the functions above wrote; after a read beyond the end `failed` stays true and zeros
 * are returned. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct cursor cursor_of(strid_bytes bytes)
{
    struct cursor cursor = {bytes.data, bytes.data + bytes.len, false}; /* C++ includes this */
    return cursor;
}

/* A view into the cursor's bytes. */
static inline strid_bytes cursor_bytes(struct cursor *cursor, size_t len)
{
    if (__builtin_expect(cursor->failed || (size_t)(cursor->end - cursor->at) < len, 0)) {
        cursor->failed = true;
        return strid_bytes_of(NULL, 0);
    }
    strid_bytes bytes = strid_bytes_of(cursor->at, len);
    cursor->at += len;
    return bytes;
}

/* Inline, so that the copies are loads: these run several times for each entry of each block. */
static inline uint8_t cursor_u8(struct cursor *cursor)
{
    strid_bytes bytes = cursor_bytes(cursor, 1);
    return bytes.data == NULL ? 0 : *bytes.data;
}

static inline uint16_t cursor_u16(struct cursor *cursor)
{
    uint16_t value = 0;
    strid_bytes bytes = cursor_bytes(cursor, sizeof value);
    if (bytes.data != NULL)
        memcpy(&value, bytes.data, sizeof value);
    return value;
}

static inline uint32_t cursor_u32(struct cursor *cursor)
{
    uint32_t value = 0;
    strid_bytes bytes = cursor_bytes(cursor, sizeof value);
    if (bytes.data != NULL)
        memcpy(&value, bytes.data, sizeof value);
    return value;
}

static inline uint64_t cursor_u64(struct cursor *cursor)
{
    uint64_t value = 0;
    strid_bytes bytes = cursor_bytes(cursor, sizeof value);
    if (bytes.data != NULL)
        memcpy(&value, bytes.data, sizeof value);
    return value;
}

uint64_t cursor_varint_long(struct cursor *cursor);

static inline uint64_t cursor_varint(struct cursor *cursor)
{
    if (__builtin_expect(!cursor->failed && cursor->at < cursor->end && *cursor->at < 0x80, 1))
        return *cursor->at++;
    return cursor_varint_long(cursor);
}

#endif
