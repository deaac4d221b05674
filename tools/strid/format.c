#include "format.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"

static const char TOKENS[] = "sSRkKThtpode";

void format_fini(struct format *format)
{
    memory_free(format->parts);
    buffer_fini(&format->literals);
    *format = (struct format){0};
}

static void add_token(struct format *format, char token)
{
    format->parts[format->part_count++] =
        (struct format_part){.start = (uint32_t)format->literals.len, .token = token};
}

static void add_literal(struct format *format, uint8_t byte)
{
    struct format_part *last =
        format->part_count == 0 ? NULL : &format->parts[format->part_count - 1];
    if (last == NULL || last->token != 0) {
        add_token(format, 0);
        last = &format->parts[format->part_count - 1];
    }
    buffer_put_u8(&format->literals, byte);
    last->len++;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* `at` is the character behind the backslash; returns how many characters it took, 0: none fits. */
static size_t parse_escape(struct format *format, const char *at)
{
    static const char names[] = "nrt\\";
    static const char bytes[] = "\n\r\t\\";
    const char *found = *at == '\0' ? NULL : strchr(names, *at);
    if (found != NULL) {
        add_literal(format, (uint8_t)bytes[found - names]);
        return 1;
    }
    if (*at != 'x' || hex_digit(at[1]) < 0 || hex_digit(at[2]) < 0)
        return 0;
    add_literal(format, (uint8_t)(hex_digit(at[1]) * 16 + hex_digit(at[2])));
    return 3;
}

/* `at` is the character behind the percent sign; false: there is no such token. */
static bool parse_token(struct format *format, char at)
{
    if (at == '%')
        add_literal(format, '%');
    else if (at != '\0' && strchr(TOKENS, at) != NULL)
        add_token(format, at);
    else
        return false;
    return true;
}

strid_status format_parse(struct format *format, const char *text, strid_error *err)
{
    *format = (struct format){0};
    format->parts = memory_alloc_zeroed((strlen(text) + 1) * sizeof *format->parts);
    const char *at = text;
    while (*at != '\0') {
        size_t taken = 1;
        bool ok = true;
        if (*at == '%') {
            ok = parse_token(format, at[1]);
            taken = 2;
        } else if (*at == '\\') {
            size_t escape = parse_escape(format, at + 1);
            ok = escape > 0;
            taken = escape + 1;
        } else {
            add_literal(format, (uint8_t)*at);
        }
        if (!ok) {
            size_t column = (size_t)(at - text) + 1;
            format_fini(format);
            return error_set(
                err, STRID_EINVAL, "format",
                "column %zu of the format '%s' is neither a token nor an escape; known "
                "are: %s",
                column, text, FORMAT_HELP);
        }
        at += taken;
    }
    return STRID_OK;
}

void format_put_position(struct buffer *out, strid_position position, bool pair)
{
    if (pair || position.high != 0)
        buffer_printf(out, "%" PRIu64 "-", position.high);
    buffer_printf(out, "%" PRIu64, position.low);
}

static int64_t length_of(strid_bytes bytes) { return bytes.data == NULL ? -1 : (int64_t)bytes.len; }

static void put_big_endian(struct buffer *out, int64_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        buffer_put_u8(out, (uint8_t)((uint64_t)value >> shift));
}

static void put_headers(struct buffer *out, const strid_record *record)
{
    for (uint32_t i = 0; i < record->header_count; i++) {
        const strid_header *header = &record->headers[i];
        if (i > 0)
            buffer_put_u8(out, ',');
        buffer_put_bytes(out, header->name);
        buffer_put_u8(out, '=');
        buffer_put_bytes(out,
                         header->value.data == NULL ? strid_bytes_of_text("NULL") : header->value);
    }
}

static int64_t timestamp_of(const strid_record *record)
{
    return record->timestamp_ms == STRID_TIMESTAMP_NONE ? -1 : record->timestamp_ms;
}

/* Tokens that are numbers; false: it is another one. */
static bool put_number(struct buffer *out, char token, const struct format_record *what)
{
    int64_t number = 0;
    switch (token) { /* characters, checked when the format was parsed */
    case 'S':
        number = length_of(what->record->value);
        break;
    case 'K':
        number = length_of(what->record->key);
        break;
    case 'T':
        number = timestamp_of(what->record);
        break;
    case 'p':
        number = what->record->origin->partition;
        break;
    case 'd':
        number = what->attempts;
        break;
    default:
        return false;
    }
    buffer_printf(out, "%" PRId64, number);
    return true;
}

static void put_token(struct buffer *out, char token, const struct format_record *what)
{
    const strid_record *record = what->record;
    if (put_number(out, token, what))
        return;
    if (token == 's')
        buffer_put_bytes(out, record->value);
    else if (token == 'R')
        put_big_endian(out, length_of(record->value));
    else if (token == 'k')
        buffer_put_bytes(out, record->key);
    else if (token == 'h')
        put_headers(out, record);
    else if (token == 't')
        buffer_put_bytes(out, strid_bytes_of_text(record->origin->topic));
    else if (token == 'o')
        format_put_position(out, record->position, what->position_pair);
    else
        buffer_put_bytes(out, what->error);
}

void format_put(const struct format *format, struct buffer *out, const struct format_record *what)
{
    for (size_t i = 0; i < format->part_count; i++) {
        const struct format_part *part = &format->parts[i];
        if (part->token == 0)
            buffer_put(out, format->literals.data + part->start, part->len);
        else
            put_token(out, part->token, what);
    }
}

static void put_member(struct buffer *out, const char *name, strid_bytes value)
{
    if (value.data == NULL) {
        buffer_printf(out, "\"%s\":null", name);
    } else if (json_utf8_is_valid(value)) {
        buffer_printf(out, "\"%s\":", name);
        json_put_string(out, value);
    } else {
        buffer_printf(out, "\"%s_base64\":\"", name);
        json_put_base64(out, value);
        buffer_put_u8(out, '"');
    }
}

/* One element of `headers`, as kcat has it: a flat list of names and values. */
static void put_element(struct buffer *out, strid_bytes value)
{
    if (value.data == NULL) {
        buffer_printf(out, "null");
    } else if (json_utf8_is_valid(value)) {
        json_put_string(out, value);
    } else {
        buffer_printf(out, "{\"base64\":\"");
        json_put_base64(out, value);
        buffer_printf(out, "\"}");
    }
}

void format_put_headers(struct buffer *out, const strid_header *headers, uint32_t count)
{
    buffer_put_u8(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_put_u8(out, ',');
        put_element(out, headers[i].name);
        buffer_put_u8(out, ',');
        put_element(out, headers[i].value);
    }
    buffer_put_u8(out, ']');
}

static void put_json_place(struct buffer *out, const struct format_record *what)
{
    const strid_record *record = what->record;
    const char *quote = what->position_pair || record->position.high != 0 ? "\"" : "";
    const char *type = what->timestamp_type;
    buffer_put_u8(out, '{');
    put_member(out, "topic", strid_bytes_of_text(record->origin->topic));
    buffer_printf(out, ",\"partition\":%" PRIu32 ",\"offset\":%s", record->origin->partition,
                  quote);
    format_put_position(out, record->position, what->position_pair);
    buffer_printf(out, "%s,\"tstype\":\"%s\",\"ts\":%" PRId64, quote,
                  type == NULL ? "unknown" : type, timestamp_of(record));
}

void format_put_json(struct buffer *out, const struct format_record *what)
{
    put_json_place(out, what);
    if (what->broker >= 0)
        buffer_printf(out, ",\"broker\":%" PRId32, what->broker);
    if (what->record->header_count > 0) {
        buffer_printf(out, ",\"headers\":");
        format_put_headers(out, what->record->headers, what->record->header_count);
    }
    if (what->attempts > 0)
        buffer_printf(out, ",\"attempts\":%" PRIu32, what->attempts);
    if (what->error.data != NULL) {
        buffer_put_u8(out, ',');
        put_member(out, "error", what->error);
    }
    buffer_put_u8(out, ',');
    put_member(out, "key", what->record->key);
    buffer_put_u8(out, ',');
    put_member(out, "payload", what->record->value);
    buffer_put_u8(out, '}');
}
