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

void output_put(struct output_list *list, uint32_t partition, const strid_record *record,
                uint32_t ordinal, strid_bytes key, strid_bytes value)
{
    struct buffer *out = &list->bytes;
    buffer_put_u8(out, OUTPUT_PLAIN);
    buffer_put_u32(out, partition);
    buffer_put_u32(out, ordinal);
    buffer_put_u64(out, record->position.high);
    buffer_put_u64(out, record->position.low);
    buffer_put_u64(out, (uint64_t)record->timestamp_ms);
    put_optional(out, key);
    put_optional(out, value);
    list->count++;
}

void output_put_dead_letter(struct output_list *list, strid_bytes letter)
{
    buffer_put_u8(&list->bytes, OUTPUT_DEAD_LETTER);
    buffer_put_varint(&list->bytes, letter.len);
    buffer_put_bytes(&list->bytes, letter);
    list->count++;
}

static void put_position(struct buffer *out, strid_position position)
{
    if (position.high != 0) {
        buffer_put_decimal(out, position.high);
        buffer_put_text(out, "-");
    }
    buffer_put_decimal(out, position.low);
}

/* For each output, so not by printf. */
void output_put_id(struct buffer *out, const char *pipeline, strid_bytes topic, uint32_t partition,
                   strid_position position, const char *kind, uint32_t ordinal)
{
    buffer_put_text(out, pipeline);
    buffer_put_text(out, "/");
    buffer_put_bytes(out, topic);
    buffer_put_text(out, "/");
    buffer_put_decimal(out, partition);
    buffer_put_text(out, "/");
    put_position(out, position);
    buffer_put_text(out, "/");
    buffer_put_text(out, kind);
    buffer_put_decimal(out, ordinal);
}

static void get_plain(struct output_reader *reader, strid_output *out)
{
    struct cursor *cursor = &reader->cursor;
    uint32_t partition = cursor_u32(cursor);
    uint32_t ordinal = cursor_u32(cursor);
    strid_position position = {cursor_u64(cursor), 0};
    position.low = cursor_u64(cursor);
    STRID_ASSERT(partition < reader->run->known_count);
    const strid_origin *origin = &reader->run->partitions[partition].origin;
    *out = (strid_output){.timestamp_ms = (int64_t)cursor_u64(cursor)};
    out->key = get_optional(cursor);
    out->value = get_optional(cursor);
    buffer_clear(&reader->id);
    output_put_id(&reader->id, reader->run->definition->name, strid_bytes_of_text(origin->topic),
                  origin->partition, position, "", ordinal);
}

/* Also of a partition that the source does not have any more. */
static void get_dead_letter(struct output_reader *reader, strid_output *out)
{
    const struct run *run = reader->run;
    uint64_t len = cursor_varint(&reader->cursor);
    struct outbox_record from;
    bool whole = outbox_record_get(cursor_bytes(&reader->cursor, len), &reader->headers, &from);
    STRID_ASSERT(whole); /* the outbox has looked */
    const strid_record *record = &from.letter.record;
    const struct partition *partition = run_partition(run, from.letter.partition);
    reader->dead_letter = (strid_dead_letter){.source = run->definition->source.url,
                                              .topic = from.letter.topic,
                                              .partition = from.partition,
                                              .position = record->position,
                                              .reason = from.letter.reason,
                                              .type = record->type,
                                              .first_failure_ms = from.letter.first_ms,
                                              .last_failure_ms = from.letter.last_ms,
                                              .attempts = from.letter.attempt,
                                              .pipeline = run->definition->name,
                                              .node = run->node};
    if (partition != NULL)
        reader->dead_letter.fingerprint =
            strid_bytes_of(partition->stored->fingerprint, partition->stored->fingerprint_len);
    *out = (strid_output){.key = record->key,
                          .value = record->value,
                          .timestamp_ms = record->timestamp_ms,
                          .headers = record->headers,
                          .header_count = record->header_count,
                          .dead_letter = &reader->dead_letter};
    buffer_clear(&reader->id);
    output_put_id(&reader->id, run->definition->name, from.letter.topic, from.partition,
                  record->position, "dlq", from.ordinal);
}

bool output_next(struct output_reader *reader, strid_output *out)
{
    struct cursor *cursor = &reader->cursor;
    if (cursor->at == cursor->end)
        return false;
    if (cursor_u8(cursor) == OUTPUT_DEAD_LETTER)
        get_dead_letter(reader, out);
    else
        get_plain(reader, out);
    out->id = buffer_bytes(&reader->id);
    STRID_ASSERT(!cursor->failed); /* we wrote it ourselves, in this process */
    return true;
}

void output_reader_fini(struct output_reader *reader)
{
    buffer_fini(&reader->id);
    buffer_fini(&reader->headers);
}
