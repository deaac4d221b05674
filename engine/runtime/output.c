#include "runtime/output.h"

#include "base/assert.h"
#include "runtime/run.h"

enum { OUTPUT_PLAIN = 0, OUTPUT_DEAD_LETTER = 1 };

static void put_optional(struct buffer *out, strid_bytes bytes)
{
    buffer_put_varint(out, bytes.data == NULL ? 0 : bytes.len + 1);
    if (bytes.data != NULL)
        buffer_put_bytes(out, bytes);
}

static strid_bytes get_optional(struct cursor *cursor)
{
    uint64_t len = cursor_varint(cursor);
    return len == 0 ? strid_bytes_of(NULL, 0) : cursor_bytes(cursor, len - 1);
}

static void put_common(struct buffer *out, uint8_t kind, uint32_t partition,
                       const strid_record *record, uint32_t ordinal)
{
    buffer_put_u8(out, kind);
    buffer_put_u32(out, partition);
    buffer_put_u32(out, ordinal);
    buffer_put_u64(out, record->position.high);
    buffer_put_u64(out, record->position.low);
    buffer_put_u64(out, (uint64_t)record->timestamp_ms);
}

void output_put(struct output_list *list, uint32_t partition, const strid_record *record,
                uint32_t ordinal, strid_bytes key, strid_bytes value)
{
    put_common(&list->bytes, OUTPUT_PLAIN, partition, record, ordinal);
    put_optional(&list->bytes, key);
    put_optional(&list->bytes, value);
    buffer_put_varint(&list->bytes, 0); /* headers */
    list->count++;
}

void output_put_dead_letter(struct output_list *list, uint32_t partition,
                            const strid_record *record, const struct output_failure *failure)
{
    struct buffer *out = &list->bytes;
    put_common(out, OUTPUT_DEAD_LETTER, partition, record, 0);
    put_optional(out, record->key);
    put_optional(out, record->value);
    buffer_put_varint(out, record->header_count);
    for (uint32_t i = 0; i < record->header_count; i++) {
        put_optional(out, record->headers[i].name);
        put_optional(out, record->headers[i].value);
    }
    put_optional(out, record->type);
    put_optional(out, failure->reason);
    buffer_put_u32(out, failure->attempts);
    buffer_put_u64(out, (uint64_t)failure->first_ms);
    buffer_put_u64(out, (uint64_t)failure->last_ms);
    list->count++;
}

static void get_headers(struct output_reader *reader, strid_output *out)
{
    buffer_clear(&reader->headers);
    uint64_t count = cursor_varint(&reader->cursor);
    for (uint64_t i = 0; i < count && !reader->cursor.failed; i++) {
        strid_header header = {.name = get_optional(&reader->cursor)};
        header.value = get_optional(&reader->cursor);
        buffer_put(&reader->headers, &header, sizeof header);
    }
    out->headers = (const strid_header *)(void *)reader->headers.data;
    out->header_count = (uint32_t)count;
}

static void put_position(struct buffer *out, strid_position position)
{
    if (position.high != 0) {
        buffer_put_decimal(out, position.high);
        buffer_put_text(out, "-");
    }
    buffer_put_decimal(out, position.low);
}

/* pipeline/topic/partition/position/n: for each output, so not by printf. */
static void put_id(struct buffer *out, const struct run *run, const strid_origin *origin,
                   strid_position position, const char *kind, uint32_t ordinal)
{
    buffer_put_text(out, run->definition->name);
    buffer_put_text(out, "/");
    buffer_put_text(out, origin->topic);
    buffer_put_text(out, "/");
    buffer_put_decimal(out, origin->partition);
    buffer_put_text(out, "/");
    put_position(out, position);
    buffer_put_text(out, "/");
    buffer_put_text(out, kind);
    buffer_put_decimal(out, ordinal);
}

bool output_next(struct output_reader *reader, strid_output *out)
{
    struct cursor *cursor = &reader->cursor;
    if (cursor->at == cursor->end)
        return false;
    const struct run *run = reader->run;
    uint8_t kind = cursor_u8(cursor);
    uint32_t partition = cursor_u32(cursor);
    uint32_t ordinal = cursor_u32(cursor);
    strid_position position = {cursor_u64(cursor), 0};
    position.low = cursor_u64(cursor);
    STRID_ASSERT(partition < run->partition_count);
    const strid_origin *origin = &run->partitions[partition].origin;
    *out = (strid_output){.timestamp_ms = (int64_t)cursor_u64(cursor)};
    out->key = get_optional(cursor);
    out->value = get_optional(cursor);
    get_headers(reader, out);
    buffer_clear(&reader->id);
    put_id(&reader->id, run, origin, position, kind == OUTPUT_DEAD_LETTER ? "dlq" : "", ordinal);
    out->id = buffer_bytes(&reader->id);
    if (kind == OUTPUT_DEAD_LETTER) {
        reader->dead_letter = (strid_dead_letter){.source = origin->source,
                                                  .topic = strid_bytes_of_text(origin->topic),
                                                  .partition = origin->partition,
                                                  .position = position,
                                                  .pipeline = run->definition->name,
                                                  .node = run->node};
        reader->dead_letter.type = get_optional(cursor);
        reader->dead_letter.reason = get_optional(cursor);
        reader->dead_letter.attempts = cursor_u32(cursor);
        reader->dead_letter.first_failure_ms = (int64_t)cursor_u64(cursor);
        reader->dead_letter.last_failure_ms = (int64_t)cursor_u64(cursor);
        out->dead_letter = &reader->dead_letter;
    }
    STRID_ASSERT(!cursor->failed); /* we wrote it ourselves, in this process */
    return true;
}

void output_reader_fini(struct output_reader *reader)
{
    buffer_fini(&reader->id);
    buffer_fini(&reader->headers);
}
