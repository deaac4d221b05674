#include "runtime/chunk.h"

#include "base/assert.h"
#include "base/memory.h"

enum { ARENA_ALIGN = 64, COPY_SHORT_MAX = 256 };

const char chunk_unmatched[] = "unmatched";

struct chunk *chunk_create(void)
{
    struct chunk *chunk = memory_alloc_aligned_unset(ARENA_ALIGN, sizeof *chunk);
    /* Slots are set whole when a record comes. */
    memset(chunk, 0, offsetof(struct chunk, slots));
    chunk->arena_bytes = CHUNK_ARENA_BYTES;
    chunk->arena = memory_alloc_aligned_unset(ARENA_ALIGN, chunk->arena_bytes);
    return chunk;
}

void chunk_destroy(struct chunk *chunk)
{
    if (chunk == NULL)
        return;
    memory_free(chunk->arena);
    memory_free(chunk);
}

void chunk_reset(struct chunk *chunk)
{
    chunk->count = 0;
    chunk->arena_used = 0;
    chunk->dropped = false;
    chunk->round = NULL;
    if (chunk->arena_bytes > CHUNK_ARENA_BYTES) {
        memory_free(chunk->arena);
        chunk->arena_bytes = CHUNK_ARENA_BYTES;
        chunk->arena = memory_alloc_aligned_unset(ARENA_ALIGN, chunk->arena_bytes);
    }
}

static size_t bytes_of_rest(const strid_raw *raw, const struct decoded *decoded,
                            uint32_t field_count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < field_count; i++)
        bytes += sizeof(strid_field) + decoded->fields[i].text.len;
    for (uint32_t i = 0; i < raw->header_count; i++)
        bytes += sizeof(strid_header) + raw->headers[i].name.len + raw->headers[i].value.len;
    return bytes;
}

size_t chunk_bytes_of(const strid_raw *raw, const struct decoded *decoded, uint32_t field_count)
{
    size_t bytes = decoded->key.len + raw->value.len + decoded->type.len + ARENA_ALIGN;
    if (field_count > 0 || raw->header_count > 0)
        bytes += bytes_of_rest(raw, decoded, field_count);
    return bytes;
}

/* Sixteen bytes at a time without a call; the tail overlaps what was copied before it. */
static inline void copy_short(uint8_t *to, const uint8_t *from, size_t len)
{
    if (__builtin_expect(len >= 16, 1)) {
        size_t at = 0;
        for (; at + 16 <= len; at += 16)
            memcpy(to + at, from + at, 16);
        memcpy(to + len - 16, from + len - 16, 16);
    } else {
        memcpy(to, from, len);
    }
}

static inline strid_bytes copy(struct chunk *chunk, strid_bytes bytes)
{
    if (bytes.data == NULL)
        return bytes;
    uint8_t *to = chunk->arena + chunk->arena_used;
    if (__builtin_expect(bytes.len <= COPY_SHORT_MAX, 1))
        copy_short(to, bytes.data, bytes.len);
    else
        memcpy(to, bytes.data, bytes.len);
    chunk->arena_used += bytes.len;
    return strid_bytes_of(to, bytes.len);
}

/* Room for an array of views: they need alignment, bytes do not. */
static void *reserve_views(struct chunk *chunk, size_t bytes)
{
    size_t align = _Alignof(strid_field);
    chunk->arena_used = (chunk->arena_used + align - 1) / align * align;
    void *at = chunk->arena + chunk->arena_used;
    chunk->arena_used += bytes;
    return at;
}

static void copy_fields(struct chunk *chunk, strid_record *record, const struct decoded *decoded,
                        uint32_t count)
{
    strid_field *fields = reserve_views(chunk, count * sizeof *fields);
    for (uint32_t i = 0; i < count; i++) {
        fields[i] = decoded->fields[i];
        fields[i].text = copy(chunk, fields[i].text);
    }
    record->fields = fields;
    record->field_count = count;
}

static void copy_headers(struct chunk *chunk, strid_record *record, const strid_raw *raw)
{
    strid_header *headers = reserve_views(chunk, raw->header_count * sizeof *headers);
    for (uint32_t i = 0; i < raw->header_count; i++) {
        headers[i].name = copy(chunk, raw->headers[i].name);
        headers[i].value = copy(chunk, raw->headers[i].value);
    }
    record->headers = headers;
    record->header_count = raw->header_count;
}

bool chunk_add(struct chunk *chunk, const strid_raw *raw, const struct decoded *decoded,
               const strid_origin *origin, uint32_t field_count, uint64_t hash)
{
    size_t bytes = chunk_bytes_of(raw, decoded, field_count);
    if (__builtin_expect(chunk->arena_bytes - chunk->arena_used < bytes, 0)) {
        if (chunk->count > 0)
            return false;
        memory_free(chunk->arena);
        chunk->arena_bytes = bytes;
        chunk->arena = memory_alloc_aligned_unset(ARENA_ALIGN, bytes);
        chunk->arena_used = 0;
    }
    STRID_DASSERT(chunk->count < CHUNK_RECORDS_MAX);
    struct chunk_slot *slot = &chunk->slots[chunk->count++];
    slot->hash = hash;
    slot->fault = decoded->fault;
    strid_record *record = &slot->record;
    /* Member by member: the source has just written them so, and a load wider than the stores
     * before it waits until they have left the store buffer. */
    record->position.high = raw->position.high;
    record->position.low = raw->position.low;
    record->timestamp_ms = raw->timestamp_ms;
    record->origin = origin;
    record->key = copy(chunk, decoded->key);
    record->value = copy(chunk, raw->value);
    record->type = copy(chunk, decoded->type);
    record->headers = NULL;
    record->fields = NULL;
    record->header_count = record->field_count = 0;
    if (field_count > 0 && decoded->fault == NULL)
        copy_fields(chunk, record, decoded, field_count);
    if (raw->header_count > 0)
        copy_headers(chunk, record, raw);
    return true;
}
