#include "redis_record.h"

#include "base/json.h"
#include "base/memory.h"

#include "redis_id.h"

void redis_record_fini(struct redis_record *record)
{
    memory_free(record->headers);
    buffer_fini(&record->json);
    *record = (struct redis_record){.headers = NULL};
}

static void add_header(struct redis_record *record, const strid_header *header)
{
    strid_raw *raw = &record->raw;
    if (raw->header_count == record->header_capacity) {
        record->header_capacity = record->header_capacity == 0 ? 16 : 2 * record->header_capacity;
        record->headers =
            memory_resize(record->headers, record->header_capacity * sizeof *record->headers);
    }
    record->headers[raw->header_count++] = *header;
    raw->headers = record->headers;
}

static bool is_named(const strid_header *field, const char *name)
{
    return name != NULL && strid_bytes_equal(field->name, strid_bytes_of_text(name));
}

static void take_field(struct redis_record *record, const struct redis_source_options *options,
                       uint32_t count, struct cursor fields)
{
    strid_raw *raw = &record->raw;
    strid_header field;
    for (uint32_t i = 0; i < count; i++) {
        redis_entries_field(&fields, &field);
        if (raw->value.data == NULL && is_named(&field, options->field))
            raw->value = field.value;
        else if (raw->key.data == NULL && is_named(&field, options->key_field))
            raw->key = field.value;
        else
            add_header(record, &field);
    }
    if (raw->value.data == NULL)
        raw->fault = "field_missing";
}

static void fail(struct redis_record *record, uint32_t count, struct cursor fields)
{
    strid_raw *raw = &record->raw;
    strid_header field;
    raw->fault = "not_utf8";
    raw->value = strid_bytes_of(NULL, 0);
    for (uint32_t i = 0; i < count; i++) {
        redis_entries_field(&fields, &field);
        add_header(record, &field);
    }
}

static void take_object(struct redis_record *record, const struct redis_source_options *options,
                        uint32_t count, struct cursor fields)
{
    strid_raw *raw = &record->raw;
    struct buffer *json = &record->json;
    struct cursor at = fields;
    strid_header field;
    buffer_clear(json);
    buffer_put_u8(json, '{');
    for (uint32_t i = 0; i < count; i++) {
        redis_entries_field(&at, &field);
        if (!json_utf8_is_valid(field.name) || !json_utf8_is_valid(field.value)) {
            fail(record, count, fields);
            return;
        }
        if (raw->key.data == NULL && is_named(&field, options->key_field))
            raw->key = field.value;
        if (i > 0)
            buffer_put_u8(json, ',');
        json_put_string(json, field.name);
        buffer_put_u8(json, ':');
        json_put_string(json, field.value);
    }
    buffer_put_u8(json, '}');
    (void)buffer_reserve(json, JSON_PADDING);
    raw->value = buffer_bytes(json);
}

void redis_record_make(struct redis_record *record, const struct redis_source_options *options,
                       const struct redis_entry_head *head, struct cursor fields)
{
    record->raw = (strid_raw){.position = head->id,
                              .next = redis_id_next(head->id),
                              .timestamp_ms = (int64_t)(head->id.high & INT64_MAX)};
    if (options->field != NULL)
        take_field(record, options, head->field_count, fields);
    else
        take_object(record, options, head->field_count, fields);
}
