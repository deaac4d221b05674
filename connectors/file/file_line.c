#include "file_line.h"

#include <inttypes.h>

/* Nothing before the first member of the line. */
static void put_comma(struct buffer *out)
{
    if (out->data[out->len - 1] != '{')
        buffer_put(out, ", ", 2);
}

static void put_name(struct buffer *out, const char *name)
{
    put_comma(out);
    buffer_printf(out, "\"%s\": ", name);
}

static void put_bytes(struct buffer *out, const char *name, strid_bytes bytes)
{
    put_comma(out);
    json_put_member_bytes(out, name, bytes);
}

static void put_integer(struct buffer *out, const char *name, int64_t value)
{
    put_name(out, name);
    json_put_i64(out, value);
}

static void put_base64(struct buffer *out, strid_bytes bytes)
{
    buffer_put_u8(out, '"');
    json_put_base64(out, bytes);
    buffer_put_u8(out, '"');
}

/* A value that is JSON stands as what it is, text as a string, other bytes as base64. */
static void put_embedded(struct buffer *out, strid_bytes value, struct json_parser *parser)
{
    if (value.data == NULL) {
        put_name(out, "value");
        buffer_put(out, "null", 4);
    } else if (json_validate(parser, value) == NULL) {
        put_name(out, "value");
        json_put_minified(out, value);
    } else {
        put_bytes(out, "value", value);
    }
}

static void put_alone(struct buffer *out, strid_bytes value, struct json_parser *parser)
{
    if (value.data == NULL) {
        buffer_put(out, "null", 4);
    } else if (json_validate(parser, value) == NULL) {
        json_put_minified(out, value);
    } else if (json_utf8_is_valid(value)) {
        json_put_string(out, value);
    } else {
        buffer_put_u8(out, '{');
        json_put_member_bytes(out, "value", value);
        buffer_put_u8(out, '}');
    }
}

static void put_header(struct buffer *out, const strid_header *header)
{
    bool is_text = json_utf8_is_valid(header->name) && json_utf8_is_valid(header->value);
    buffer_put_u8(out, '[');
    if (is_text)
        json_put_string(out, header->name);
    else
        put_base64(out, header->name);
    buffer_put(out, ", ", 2);
    if (header->value.data == NULL)
        buffer_put(out, "null", 4);
    else if (is_text)
        json_put_string(out, header->value);
    else
        put_base64(out, header->value);
    if (!is_text)
        buffer_put(out, ", \"base64\"", 10);
    buffer_put_u8(out, ']');
}

static void put_headers(struct buffer *out, const strid_output *output)
{
    if (output->header_count == 0)
        return;
    put_name(out, "headers");
    buffer_put_u8(out, '[');
    for (uint32_t i = 0; i < output->header_count; i++) {
        if (i > 0)
            buffer_put(out, ", ", 2);
        put_header(out, &output->headers[i]);
    }
    buffer_put_u8(out, ']');
}

static void put_position(struct buffer *out, strid_position position)
{
    put_name(out, "position");
    if (position.high == 0)
        buffer_printf(out, "%" PRIu64, position.low);
    else
        buffer_printf(out, "\"%" PRIu64 "-%" PRIu64 "\"", position.high, position.low);
}

/* The original bytes are a string or base64, never embedded, so that they come back as they were.
 */
static void put_letter(struct buffer *out, const strid_output *output)
{
    const strid_dead_letter *letter = output->dead_letter;
    put_bytes(out, "source", strid_bytes_of_text(letter->source));
    put_bytes(out, "topic", letter->topic);
    put_integer(out, "partition", letter->partition);
    put_position(out, letter->position);
    put_bytes(out, "reason", letter->reason);
    put_bytes(out, "type", letter->type);
    if (output->key.data != NULL)
        put_bytes(out, "key", output->key);
    if (output->value.data != NULL)
        put_bytes(out, "value", output->value);
    if (output->timestamp_ms != STRID_TIMESTAMP_NONE)
        put_integer(out, "timestamp", output->timestamp_ms);
    put_integer(out, "first_failure", letter->first_failure_ms);
    put_integer(out, "last_failure", letter->last_failure_ms);
    put_integer(out, "attempts", letter->attempts);
    put_bytes(out, "pipeline", strid_bytes_of_text(letter->pipeline));
    put_bytes(out, "node", strid_bytes_of_text(letter->node));
    put_headers(out, output);
}

void file_line_put(struct buffer *out, const strid_output *output, enum file_sink_format format,
                   struct json_parser *parser)
{
    if (output->dead_letter == NULL && format == FILE_SINK_VALUE) {
        put_alone(out, output->value, parser);
        buffer_put_u8(out, '\n');
        return;
    }
    buffer_put_u8(out, '{');
    if (output->id.len > 0) /* what a producer sends has none */
        put_bytes(out, "id", output->id);
    if (output->dead_letter != NULL) {
        put_letter(out, output);
    } else {
        if (output->key.data != NULL)
            put_bytes(out, "key", output->key);
        put_embedded(out, output->value, parser);
    }
    buffer_put(out, "}\n", 2);
}
