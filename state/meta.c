#include "state/meta.h"

#include "base/crc32c.h"

void meta_key(struct buffer *out, const char *kind, strid_bytes name)
{
    buffer_clear(out);
    buffer_put(out, "m/", 2);
    buffer_put(out, kind, strlen(kind));
    if (name.data != NULL) {
        buffer_put_u8(out, '/');
        buffer_put_bytes(out, name);
    }
}

void meta_key_number(struct buffer *out, const char *kind, uint64_t number, size_t bytes)
{
    uint64_t swapped = __builtin_bswap64(number);
    meta_key(out, kind, strid_bytes_of((const uint8_t *)&swapped + (8 - bytes), bytes));
}

bool meta_key_is(strid_bytes key, const char *kind, strid_bytes *name)
{
    size_t len = strlen(kind);
    if (key.len < 2 + len || memcmp(key.data, "m/", 2) != 0 || memcmp(key.data + 2, kind, len) != 0)
        return false;
    *name = strid_bytes_of(NULL, 0);
    if (key.len == 2 + len)
        return true;
    if (key.data[2 + len] != '/')
        return false;
    *name = strid_bytes_of(key.data + 3 + len, key.len - 3 - len);
    return true;
}

void meta_value_begin(struct buffer *out) { buffer_clear(out); }

void meta_value_end(struct buffer *out) { buffer_put_u32(out, crc32c(0, out->data, out->len)); }

struct cursor meta_value_read(strid_bytes value)
{
    struct cursor cursor = cursor_of(value);
    uint32_t crc = 0;
    if (value.len >= 4)
        memcpy(&crc, value.data + value.len - 4, 4);
    if (value.len < 4 || crc != crc32c(0, value.data, value.len - 4))
        cursor.failed = true;
    else
        cursor.end -= 4;
    return cursor;
}
