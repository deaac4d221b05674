#include "runtime/outbox_record.h"

enum { VERSION = 1, FIXED_BYTES = 1 + 4 + 4 };

void outbox_record_put(struct buffer *bytes, const struct outbox_record *record)
{
    buffer_put_u8(bytes, VERSION);
    buffer_put_u32(bytes, record->partition);
    buffer_put_u32(bytes, record->ordinal);
    retry_record_put(bytes, &record->letter);
}

bool outbox_record_get(strid_bytes bytes, struct buffer *headers, struct outbox_record *out)
{
    struct cursor cursor = cursor_of(bytes);
    *out = (struct outbox_record){0};
    if (cursor_u8(&cursor) != VERSION)
        return false;
    out->partition = cursor_u32(&cursor);
    out->ordinal = cursor_u32(&cursor);
    return !cursor.failed &&
           retry_record_get(strid_bytes_of(bytes.data + FIXED_BYTES, bytes.len - FIXED_BYTES),
                            headers, &out->letter);
}
