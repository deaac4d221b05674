#include "file_letter.h"

#include "base/assert.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>

/* A member that holds bytes comes as text under its name or as base64 under the next name. */
enum member {
    ID,
    ID_BASE64,
    SOURCE,
    SOURCE_BASE64,
    TOPIC,
    TOPIC_BASE64,
    REASON,
    REASON_BASE64,
    TYPE,
    TYPE_BASE64,
    KEY,
    KEY_BASE64,
    VALUE,
    VALUE_BASE64,
    PIPELINE,
    PIPELINE_BASE64,
    NODE,
    NODE_BASE64,
    PARTITION,
    POSITION,
    TIMESTAMP,
    FIRST_FAILURE,
    LAST_FAILURE,
    ATTEMPTS,
    MEMBER_COUNT
};

static const char *const member_names[MEMBER_COUNT] = {
    [ID] = "id",
    [ID_BASE64] = "id_base64",
    [SOURCE] = "source",
    [SOURCE_BASE64] = "source_base64",
    [TOPIC] = "topic",
    [TOPIC_BASE64] = "topic_base64",
    [REASON] = "reason",
    [REASON_BASE64] = "reason_base64",
    [TYPE] = "type",
    [TYPE_BASE64] = "type_base64",
    [KEY] = "key",
    [KEY_BASE64] = "key_base64",
    [VALUE] = "value",
    [VALUE_BASE64] = "value_base64",
    [PIPELINE] = "pipeline",
    [PIPELINE_BASE64] = "pipeline_base64",
    [NODE] = "node",
    [NODE_BASE64] = "node_base64",
    [PARTITION] = "partition",
    [POSITION] = "position",
    [TIMESTAMP] = "timestamp",
    [FIRST_FAILURE] = "first_failure",
    [LAST_FAILURE] = "last_failure",
    [ATTEMPTS] = "attempts",
};

enum { HEADERS_AT_ONCE = 16, POINTERS_PER_HEADER = 3, POINTER_MAX = 32 };

void file_letter_fini(struct file_letter *letter)
{
    buffer_fini(&letter->line);
    buffer_fini(&letter->bytes);
    memory_free(letter->headers);
    *letter = (struct file_letter){0};
}

/* Decoded bytes with a terminator behind them are never longer than the quoted string in the line,
 * so the room made for the line is enough and nothing moves. */
static strid_bytes keep(struct file_letter *letter, strid_bytes text, bool is_base64, bool *ok)
{
    size_t begin = letter->bytes.len;
    if (is_base64)
        *ok = json_base64_decode(&letter->bytes, text) && *ok;
    else
        buffer_put_bytes(&letter->bytes, text);
    strid_bytes kept = {letter->bytes.data + begin, letter->bytes.len - begin};
    buffer_put_u8(&letter->bytes, 0);
    return kept;
}

/* Absent where neither form is there. */
static strid_bytes bytes_of(struct file_letter *letter, const strid_field *fields,
                            enum member member, bool *ok)
{
    if (fields[member].kind == STRID_FIELD_STRING)
        return keep(letter, fields[member].text, false, ok);
    if (fields[member + 1].kind == STRID_FIELD_STRING)
        return keep(letter, fields[member + 1].text, true, ok);
    return (strid_bytes){NULL, 0};
}

static const char *text_of(struct file_letter *letter, const strid_field *fields,
                           enum member member, bool *ok)
{
    strid_bytes bytes = bytes_of(letter, fields, member, ok);
    return bytes.data == NULL ? "" : (const char *)bytes.data;
}

/* Digits from *at on, which is moved behind them. */
static bool parse_u64(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    const uint8_t *begin = *at;
    uint64_t value = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(**at - '0'), &value))
            return false;
    }
    *out = value;
    return *at > begin;
}

/* A number, or a string "high-low". */
static bool parse_position(const strid_field *field, strid_position *out)
{
    bool is_number = field->kind == STRID_FIELD_INT || field->kind == STRID_FIELD_REAL;
    *out = (strid_position){0, 0};
    if (!is_number && field->kind != STRID_FIELD_STRING)
        return false; /* there is no text, perhaps */
    const uint8_t *at = field->text.data;
    const uint8_t *end = at + field->text.len;
    if (is_number)
        return parse_u64(&at, end, &out->low) && at == end;
    if (!parse_u64(&at, end, &out->high) || at == end || *at != '-')
        return false;
    at++;
    return parse_u64(&at, end, &out->low) && at == end;
}

static int64_t integer_or(const strid_field *field, int64_t fallback)
{
    return field->kind == STRID_FIELD_INT ? field->integer : fallback;
}

static bool fill(struct file_letter *letter, const strid_field *fields)
{
    bool ok = true;
    letter->letter = (strid_dead_letter){
        .source = text_of(letter, fields, SOURCE, &ok),
        .topic = bytes_of(letter, fields, TOPIC, &ok),
        .partition = (uint32_t)integer_or(&fields[PARTITION], 0),
        .reason = bytes_of(letter, fields, REASON, &ok),
        .type = bytes_of(letter, fields, TYPE, &ok),
        .first_failure_ms = integer_or(&fields[FIRST_FAILURE], 0),
        .last_failure_ms = integer_or(&fields[LAST_FAILURE], 0),
        .attempts = (uint32_t)integer_or(&fields[ATTEMPTS], 0),
        .pipeline = text_of(letter, fields, PIPELINE, &ok),
        .node = text_of(letter, fields, NODE, &ok),
    };
    letter->output = (strid_output){
        .id = bytes_of(letter, fields, ID, &ok),
        .key = bytes_of(letter, fields, KEY, &ok),
        .value = bytes_of(letter, fields, VALUE, &ok),
        .timestamp_ms = integer_or(&fields[TIMESTAMP], STRID_TIMESTAMP_NONE),
        .dead_letter = &letter->letter,
    };
    return ok && parse_position(&fields[POSITION], &letter->letter.position) &&
           letter->output.id.data != NULL && letter->letter.topic.data != NULL &&
           letter->letter.reason.data != NULL;
}

static void add_header(struct file_letter *letter, strid_header header)
{
    uint32_t count = letter->output.header_count++;
    if (count == letter->header_capacity) {
        letter->header_capacity = count == 0 ? HEADERS_AT_ONCE : count * 2;
        letter->headers =
            memory_resize(letter->headers, letter->header_capacity * sizeof *letter->headers);
    }
    letter->headers[count] = header;
}

/* [name, value], or [name, value, "base64"] where one of them is no text. */
static bool take_header(struct file_letter *letter, const strid_field *fields)
{
    bool ok = true;
    bool is_base64 = fields[2].kind == STRID_FIELD_STRING;
    strid_header header = {.name = keep(letter, fields[0].text, is_base64, &ok)};
    if (fields[1].kind == STRID_FIELD_STRING)
        header.value = keep(letter, fields[1].text, is_base64, &ok);
    add_header(letter, header);
    return ok;
}

/* A few at a time, since the parser looks up a bounded number of names. */
static bool take_headers(struct file_letter *letter, struct json_parser *parser)
{
    enum { NAMES = HEADERS_AT_ONCE * POINTERS_PER_HEADER };
    char pointers[NAMES][POINTER_MAX];
    const char *names[NAMES];
    strid_field fields[NAMES];
    for (uint32_t first = 0;; first += HEADERS_AT_ONCE) {
        for (uint32_t i = 0; i < NAMES; i++) {
            (void)snprintf(pointers[i], POINTER_MAX, "/headers/%" PRIu32 "/%" PRIu32,
                           first + i / POINTERS_PER_HEADER, i % POINTERS_PER_HEADER);
            names[i] = pointers[i];
        }
        if (json_extract(parser, buffer_bytes(&letter->line), names, NAMES, fields) != NULL)
            return false;
        for (uint32_t i = 0; i < NAMES; i += POINTERS_PER_HEADER) {
            if (fields[i].kind != STRID_FIELD_STRING)
                return true;
            if (!take_header(letter, &fields[i]))
                return false;
        }
    }
}

bool file_letter_parse(struct file_letter *letter, struct json_parser *parser, strid_bytes line)
{
    strid_field fields[MEMBER_COUNT];
    buffer_clear(&letter->line);
    buffer_put_bytes(&letter->line, line);
    memset(buffer_reserve(&letter->line, JSON_PADDING), 0, JSON_PADDING);
    buffer_clear(&letter->bytes);
    buffer_reserve(&letter->bytes, line.len + JSON_PADDING);
    const uint8_t *bytes = letter->bytes.data;
    if (json_extract(parser, buffer_bytes(&letter->line), member_names, MEMBER_COUNT, fields) !=
            NULL ||
        !fill(letter, fields) || !take_headers(letter, parser))
        return false;
    STRID_ASSERT(letter->bytes.data == bytes); /* nothing that was handed out has moved */
    letter->output.headers = letter->headers;
    return true;
}
