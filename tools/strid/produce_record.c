#include "produce_record.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"

#define COMPONENT "produce"

/* Of a header in the buffer of texts; SIZE_MAX: an absent value. */
struct place {
    size_t name, name_len, value, value_len;
};

enum member {
    KEY,
    KEY_BASE64,
    VALUE,
    VALUE_BASE64,
    PAYLOAD,
    PAYLOAD_BASE64,
    HEADERS,
    TIMESTAMP,
    TIMESTAMP_MS, /* as `dlq show --json` writes it */
    TS,
    MEMBER_COUNT
};

static const char *const member_names[MEMBER_COUNT] = {
    "key",       "key_base64",   "value", "value_base64", "payload", "payload_base64", "headers",
    "timestamp", "timestamp_ms", "ts"};

void produce_record_init(struct produce_record *record, enum produce_input input)
{
    *record = (struct produce_record){.input = input};
    if (input == PRODUCE_JSON) {
        record->parser = json_parser_create();
        record->members = json_parser_create();
    }
}

void produce_record_fini(struct produce_record *record)
{
    if (record->parser != NULL) {
        json_parser_destroy(record->parser);
        json_parser_destroy(record->members);
    }
    buffer_fini(&record->key);
    buffer_fini(&record->value);
    buffer_fini(&record->texts);
    buffer_fini(&record->places);
    buffer_fini(&record->headers);
}

static strid_status parse_line(struct produce_record *record, strid_bytes line)
{
    strid_output *output = &record->output;
    size_t delimiter_len = record->key_delimiter == NULL ? 0 : strlen(record->key_delimiter);
    const uint8_t *at = delimiter_len == 0 || line.len == 0
                            ? NULL
                            : memmem(line.data, line.len, record->key_delimiter, delimiter_len);
    output->value = line;
    if (at != NULL) {
        size_t key_len = (size_t)(at - line.data);
        output->key = strid_bytes_of(line.data, key_len);
        output->value = strid_bytes_of(at + delimiter_len, line.len - key_len - delimiter_len);
    }
    if (record->empty_is_null && output->value.len == 0)
        output->value = strid_bytes_of(NULL, 0);
    return STRID_OK;
}

/* The text of a member, or what its base64 stands for; null is absent. */
static strid_status take_bytes(const strid_field *text, const strid_field *base64,
                               struct buffer *decoded, const char *name, strid_bytes *out,
                               strid_error *err)
{
    if (text->kind != STRID_FIELD_ABSENT) {
        if (text->kind != STRID_FIELD_NULL)
            *out = text->text;
        return STRID_OK;
    }
    if (base64->kind == STRID_FIELD_ABSENT || base64->kind == STRID_FIELD_NULL)
        return STRID_OK;
    buffer_clear(decoded);
    (void)buffer_reserve(decoded, 1); /* of no bytes, but not absent */
    if (base64->kind != STRID_FIELD_STRING || !json_base64_decode(decoded, base64->text))
        return error_set(err, STRID_EINVAL, COMPONENT, "\"%s\" is no base64", name);
    *out = buffer_bytes(decoded);
    return STRID_OK;
}

static bool is_between(uint8_t byte) { return strchr(" \t\r\n,:", byte) != NULL && byte != 0; }

/* The next value in what stands between the brackets of valid JSON; false: there is none. */
static bool next_value(struct cursor *text, strid_bytes *out)
{
    while (text->at < text->end && is_between(*text->at))
        text->at++;
    const uint8_t *begin = text->at;
    unsigned depth = 0;
    bool quoted = false;
    for (; text->at < text->end; text->at++) {
        uint8_t byte = *text->at;
        if (quoted) {
            text->at += byte == '\\' ? 1 : 0;
            quoted = byte != '"';
        } else if (depth == 0 && is_between(byte)) {
            break;
        } else {
            quoted = byte == '"';
            depth += byte == '{' || byte == '[' ? 1u : 0;
            depth -= byte == '}' || byte == ']' ? 1u : 0;
        }
    }
    *out = strid_bytes_of(begin, (size_t)(text->at - begin));
    return out->len > 0;
}

static strid_status add_header(struct produce_record *record, strid_bytes name, strid_bytes value,
                               strid_error *err)
{
    static const char *const names[] = {"n", "v", "/v/base64"};
    strid_field fields[3];
    struct buffer pair = {0}, decoded = {0};
    strid_bytes bytes = strid_bytes_of(NULL, 0);
    buffer_printf(&pair, "{\"n\":");
    buffer_put_bytes(&pair, name);
    buffer_printf(&pair, ",\"v\":");
    buffer_put_bytes(&pair, value);
    buffer_put_u8(&pair, '}');
    memset(buffer_reserve(&pair, JSON_PADDING), 0, JSON_PADDING);
    const char *fault = json_extract(record->members, buffer_bytes(&pair), names, 3, fields);
    strid_status status = STRID_OK;
    if (fault != NULL || fields[0].kind != STRID_FIELD_STRING)
        status = error_set(err, STRID_EINVAL, COMPONENT, "the name of a header is no text");
    else if (fields[2].kind != STRID_FIELD_ABSENT)
        fields[1].kind = STRID_FIELD_ABSENT;
    if (status == STRID_OK)
        status = take_bytes(&fields[1], &fields[2], &decoded, "headers", &bytes, err);
    if (status == STRID_OK) {
        struct place place = {.name = record->texts.len, .name_len = fields[0].text.len};
        buffer_put_bytes(&record->texts, fields[0].text);
        place.value = bytes.data == NULL ? SIZE_MAX : record->texts.len;
        place.value_len = bytes.len;
        buffer_put_bytes(&record->texts, bytes);
        buffer_put(&record->places, &place, sizeof place);
    }
    buffer_fini(&pair);
    buffer_fini(&decoded);
    return status;
}

static void point_headers(struct produce_record *record)
{
    const struct place *places = (const struct place *)(const void *)record->places.data;
    size_t count = record->places.len / sizeof *places;
    (void)buffer_reserve(&record->texts, 1);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *texts = record->texts.data;
        strid_header header = {.name = strid_bytes_of(texts + places[i].name, places[i].name_len)};
        if (places[i].value != SIZE_MAX)
            header.value = strid_bytes_of(texts + places[i].value, places[i].value_len);
        buffer_put(&record->headers, &header, sizeof header);
    }
    record->output.headers = (const strid_header *)(const void *)record->headers.data;
    record->output.header_count = (uint32_t)count;
}

/* An object of names and values, or kcat's list of names and values in turn. */
static strid_status take_headers(struct produce_record *record, const strid_field *field,
                                 strid_error *err)
{
    strid_bytes name, value;
    if (field->kind == STRID_FIELD_ABSENT || field->kind == STRID_FIELD_NULL)
        return STRID_OK;
    if (field->kind != STRID_FIELD_OTHER)
        return error_set(err, STRID_EINVAL, COMPONENT,
                         "\"headers\" is neither an object nor a list of names and values");
    struct cursor text = cursor_of(strid_bytes_of(field->text.data + 1, field->text.len - 2));
    while (next_value(&text, &name)) {
        if (!next_value(&text, &value))
            return error_set(err, STRID_EINVAL, COMPONENT,
                             "\"headers\" has a name without a value");
        STRID_TRY(add_header(record, name, value, err));
    }
    point_headers(record);
    return STRID_OK;
}

static strid_status parse_json(struct produce_record *record, strid_bytes line, strid_error *err)
{
    strid_field fields[MEMBER_COUNT];
    strid_output *output = &record->output;
    const char *fault = json_extract(record->parser, line, member_names, MEMBER_COUNT, fields);
    if (fault != NULL)
        return error_set(err, STRID_EINVAL, COMPONENT, "%s: expected a JSON object a line", fault);
    bool is_payload =
        fields[VALUE].kind == STRID_FIELD_ABSENT && fields[VALUE_BASE64].kind == STRID_FIELD_ABSENT;
    const strid_field *value = &fields[is_payload ? PAYLOAD : VALUE];
    if (value[0].kind == STRID_FIELD_ABSENT && value[1].kind == STRID_FIELD_ABSENT)
        return error_set(err, STRID_EINVAL, COMPONENT,
                         "no \"value\" (nor \"value_base64\", \"payload\"); null is a tombstone");
    STRID_TRY(take_bytes(&fields[KEY], &fields[KEY_BASE64], &record->key, member_names[KEY_BASE64],
                         &output->key, err));
    STRID_TRY(take_bytes(&value[0], &value[1], &record->value,
                         member_names[is_payload ? PAYLOAD_BASE64 : VALUE_BASE64], &output->value,
                         err));
    const strid_field *at = &fields[TIMESTAMP];
    while (at < &fields[TS] && at->kind == STRID_FIELD_ABSENT)
        at++;
    if (at->kind == STRID_FIELD_INT && at->integer >= 0)
        output->timestamp_ms = at->integer;
    else if (at->kind != STRID_FIELD_ABSENT && at->kind != STRID_FIELD_NULL &&
             at->kind != STRID_FIELD_INT)
        return error_set(err, STRID_EINVAL, COMPONENT,
                         "the timestamp is no whole number of milliseconds since 1970");
    return take_headers(record, &fields[HEADERS], err);
}

strid_status produce_record_parse(struct produce_record *record, strid_bytes line, strid_error *err)
{
    buffer_clear(&record->texts);
    buffer_clear(&record->places);
    buffer_clear(&record->headers);
    record->output = (strid_output){.timestamp_ms = STRID_TIMESTAMP_NONE};
    return record->input == PRODUCE_JSON ? parse_json(record, line, err) : parse_line(record, line);
}
