#include "runtime/retry_record.h"

#include "base/assert.h"

enum { VERSION = 1, HEADER_BYTES_MIN = 2 };

static void put_text(struct buffer *bytes, strid_bytes text)
{
    buffer_put_varint(bytes, text.len);
    buffer_put_bytes(bytes, text);
}

static strid_bytes get_text(struct cursor *cursor)
{
    uint64_t len = cursor_varint(cursor);
    return cursor_bytes(cursor, len);
}

/* Absent is not empty: a length of 0 stands for absent, any other is one more than the bytes. */
static void put_optional(struct buffer *bytes, strid_bytes value)
{
    buffer_put_varint(bytes, value.data == NULL ? 0 : (uint64_t)value.len + 1);
    buffer_put_bytes(bytes, value);
}

static strid_bytes get_optional(struct cursor *cursor)
{
    uint64_t len = cursor_varint(cursor);
    return len == 0 ? strid_bytes_of(NULL, 0) : cursor_bytes(cursor, len - 1);
}

void retry_record_put(struct buffer *bytes, const struct retry_record *record)
{
    const strid_record *copy = &record->record;
    buffer_put_u8(bytes, VERSION);
    buffer_put_u32(bytes, record->partition);
    buffer_put_u64(bytes, copy->position.high);
    buffer_put_u64(bytes, copy->position.low);
    buffer_put_u32(bytes, record->attempt);
    buffer_put_u64(bytes, (uint64_t)record->first_ms);
    buffer_put_u64(bytes, (uint64_t)record->last_ms);
    buffer_put_u64(bytes, (uint64_t)copy->timestamp_ms);
    put_text(bytes, copy->type);
    put_text(bytes, record->topic);
    put_text(bytes, record->reason);
    put_optional(bytes, copy->key);
    put_optional(bytes, copy->value);
    buffer_put_varint(bytes, copy->header_count);
    for (uint32_t i = 0; i < copy->header_count; i++) {
        put_text(bytes, copy->headers[i].name);
        put_optional(bytes, copy->headers[i].value);
    }
}

static bool get_headers(struct cursor *cursor, struct buffer *headers, strid_record *out)
{
    uint64_t count = cursor_varint(cursor);
    /* Before any memory is asked for: a damaged count must not be believed. */
    if (cursor->failed || count > (uint64_t)(cursor->end - cursor->at) / HEADER_BYTES_MIN ||
        count > UINT32_MAX)
        return false;
    buffer_clear(headers);
    for (uint64_t i = 0; i < count; i++) {
        strid_header header;
        header.name = get_text(cursor);
        header.value = get_optional(cursor);
        buffer_put(headers, &header, sizeof header);
    }
    out->headers = (const strid_header *)(const void *)headers->data;
    out->header_count = (uint32_t)count;
    return true;
}

void retry_record_place(strid_bytes bytes, uint32_t *partition, strid_position *position)
{
    struct cursor cursor = cursor_of(bytes);
    (void)cursor_u8(&cursor);
    *partition = cursor_u32(&cursor);
    position->high = cursor_u64(&cursor);
    position->low = cursor_u64(&cursor);
    STRID_ASSERT(!cursor.failed);
}

bool retry_record_get(strid_bytes bytes, struct buffer *headers, struct retry_record *out)
{
    struct cursor cursor = cursor_of(bytes);
    *out = (struct retry_record){0};
    if (cursor_u8(&cursor) != VERSION)
        return false;
    out->partition = cursor_u32(&cursor);
    out->record.position.high = cursor_u64(&cursor);
    out->record.position.low = cursor_u64(&cursor);
    out->attempt = cursor_u32(&cursor);
    out->first_ms = (int64_t)cursor_u64(&cursor);
    out->last_ms = (int64_t)cursor_u64(&cursor);
    out->record.timestamp_ms = (int64_t)cursor_u64(&cursor);
    out->record.type = get_text(&cursor);
    out->topic = get_text(&cursor);
    out->reason = get_text(&cursor);
    out->record.key = get_optional(&cursor);
    out->record.value = get_optional(&cursor);
    return get_headers(&cursor, headers, &out->record) && !cursor.failed && cursor.at == cursor.end;
}

void retry_record_put_head(struct buffer *bytes, const struct retry_head *head)
{
    STRID_ASSERT(head->first_seq <= head->last_seq);
    STRID_ASSERT((head->flags & ~RETRY_HEAD_FLAGS) == 0);
    buffer_put_u8(bytes, VERSION);
    buffer_put_u8(bytes, head->flags);
    buffer_put_u64(bytes, head->first_seq);
    buffer_put_u64(bytes, head->last_seq);
    buffer_put_u32(bytes, head->attempt);
    buffer_put_u32(bytes, head->partition);
    buffer_put_u64(bytes, (uint64_t)head->due_ms);
    buffer_put_u64(bytes, (uint64_t)head->first_ms);
    buffer_put_u64(bytes, head->bytes);
}

bool retry_record_get_head(strid_bytes bytes, struct retry_head *out)
{
    struct cursor cursor = cursor_of(bytes);
    *out = (struct retry_head){0};
    if (cursor_u8(&cursor) != VERSION)
        return false;
    out->flags = cursor_u8(&cursor);
    out->first_seq = cursor_u64(&cursor);
    out->last_seq = cursor_u64(&cursor);
    out->attempt = cursor_u32(&cursor);
    out->partition = cursor_u32(&cursor);
    out->due_ms = (int64_t)cursor_u64(&cursor);
    out->first_ms = (int64_t)cursor_u64(&cursor);
    out->bytes = cursor_u64(&cursor);
    return !cursor.failed && cursor.at == cursor.end && out->first_seq <= out->last_seq &&
           (out->flags & ~RETRY_HEAD_FLAGS) == 0;
}

void retry_record_subkey(uint8_t out[RETRY_SUBKEY_BYTES], uint64_t seq)
{
    for (int i = RETRY_SUBKEY_BYTES - 1; i >= 0; i--, seq >>= 8)
        out[i] = (uint8_t)seq;
}

bool retry_record_seq(strid_bytes subkey, uint64_t *out)
{
    if (subkey.len != RETRY_SUBKEY_BYTES)
        return false;
    uint64_t seq = 0;
    for (size_t i = 0; i < RETRY_SUBKEY_BYTES; i++)
        seq = seq << 8 | subkey.data[i];
    *out = seq;
    return true;
}
