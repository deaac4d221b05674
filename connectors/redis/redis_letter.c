#include "redis_letter.h"

#include "base/json.h"
#include "base/memory.h"

#include "redis_entry.h"
#include "redis_id.h"
#include "redis_reply.h"

#include <hiredis/hiredis.h>

#include <string.h>

enum { ENTRY_PARTS = 2, SECONDS_BELOW = 100000000 };

/* Names of fields, in the order of enum part; NULL: this form has none. */
enum part {
    ID,
    SOURCE,
    TOPIC,
    PARTITION,
    POSITION,
    REASON,
    TYPE,
    KEY,
    VALUE,
    TIMESTAMP,
    FIRST,
    LAST,
    ATTEMPTS,
    PIPELINE,
    NODE,
    PART_COUNT
};

struct redis_letter_form {
    const char *names[PART_COUNT];
    bool is_own; /* else the record is the fields that have no name here */
};

static const struct redis_letter_form forms[] = {
    {.names = {"id", "source", "topic", "partition", "position", "reason", "type", "key", "value",
               "timestamp", "first_failure", "last_failure", "attempts", "pipeline", "node"},
     .is_own = true},
    {.names = {[TOPIC] = "_original_stream",
               [POSITION] = "_original_msg_id",
               [REASON] = "_error",
               [LAST] = "_moved_timestamp"}},
    {.names = {[TOPIC] = "original_stream",
               [POSITION] = "original_id",
               [REASON] = "failure_reason",
               [ATTEMPTS] = "attempts",
               [LAST] = "dlq_timestamp"}},
};

void redis_letter_fini(struct redis_letter *letter)
{
    buffer_fini(&letter->text);
    buffer_fini(&letter->value);
    memory_free(letter->headers);
    *letter = (struct redis_letter){0};
}

static strid_bytes item(const struct redisReply *fields, size_t index)
{
    return redis_reply_bytes(fields->element[index]);
}

/* Where `name` stands among `names`; PART_COUNT: nowhere. */
static size_t part_of(const struct redis_letter_form *form, strid_bytes name)
{
    for (size_t i = 0; i < PART_COUNT; i++) {
        if (form->names[i] != NULL && strid_bytes_equal(name, strid_bytes_of_text(form->names[i])))
            return i;
    }
    return PART_COUNT;
}

static void find_parts(const struct redis_letter_form *form, const struct redisReply *fields,
                       strid_bytes parts[PART_COUNT])
{
    for (size_t i = 0; i < PART_COUNT; i++)
        parts[i] = strid_bytes_of(NULL, 0);
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        size_t part = part_of(form, item(fields, i));
        if (part < PART_COUNT && parts[part].data == NULL)
            parts[part] = item(fields, i + 1);
    }
}

static int64_t number_of(strid_bytes text, int64_t fallback)
{
    strid_field field = {0};
    if (text.len == 0 || !json_parse_number(text, &field))
        return fallback;
    if (field.kind == STRID_FIELD_INT)
        return field.integer;
    return field.real > -9e18 && field.real < 9e18 ? (int64_t)field.real : fallback;
}

/* Milliseconds, or seconds with a fraction as Python's time.time() gives them. */
static int64_t moment_of(strid_bytes text)
{
    strid_field field = {0};
    if (text.len == 0 || !json_parse_number(text, &field) || !(field.real >= 0))
        return 0;
    double real = field.kind == STRID_FIELD_INT ? (double)field.integer : field.real;
    double seconds_end = (double)SECONDS_BELOW * 1000; /* the year 5138; as milliseconds, 1973 */
    if (real < seconds_end)
        return (int64_t)(real * 1000 + 0.5);
    return real < 9e18 ? (int64_t)real : 0;
}

/* A terminated copy; its offset, since the buffer may still move. */
static size_t keep(struct redis_letter *letter, strid_bytes text)
{
    size_t at = letter->text.len;
    buffer_put_bytes(&letter->text, text);
    buffer_put_u8(&letter->text, 0);
    return at;
}

static bool begins_with(strid_bytes name, const char *prefix)
{
    size_t len = strlen(prefix);
    return name.len >= len && memcmp(name.data, prefix, len) == 0;
}

static void take_headers(struct redis_letter *letter, const struct redisReply *fields)
{
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        strid_bytes name = item(fields, i);
        bool is_absent = begins_with(name, REDIS_ENTRY_HEADER_ABSENT);
        if (!is_absent && !begins_with(name, REDIS_ENTRY_HEADER))
            continue;
        size_t skip = strlen(is_absent ? REDIS_ENTRY_HEADER_ABSENT : REDIS_ENTRY_HEADER);
        uint32_t count = letter->output.header_count++;
        if (count == letter->header_capacity) {
            letter->header_capacity = count == 0 ? 16 : count * 2;
            letter->headers =
                memory_resize(letter->headers, letter->header_capacity * sizeof *letter->headers);
        }
        letter->headers[count] =
            (strid_header){.name = strid_bytes_of(name.data + skip, name.len - skip),
                           .value = is_absent ? strid_bytes_of(NULL, 0) : item(fields, i + 1)};
    }
    letter->output.headers = letter->headers;
}

/* {"name": "value", ...} of the fields that are the record's own. */
static strid_bytes put_record(struct redis_letter *letter, const struct redis_letter_form *form,
                              const struct redisReply *fields)
{
    struct buffer *out = &letter->value;
    buffer_clear(out);
    buffer_put_u8(out, '{');
    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        strid_bytes name = item(fields, i), value = item(fields, i + 1);
        if (part_of(form, name) < PART_COUNT || !json_utf8_is_valid(name))
            continue;
        bool is_text = json_utf8_is_valid(value);
        if (out->len > 1)
            buffer_put(out, ", ", 2);
        json_put_string(out, name);
        buffer_put(out, ": \"", is_text ? 2 : 3);
        if (is_text) {
            json_put_string(out, value);
        } else {
            json_put_base64(out, value);
            buffer_put_u8(out, '"');
        }
    }
    buffer_put_u8(out, '}');
    return buffer_bytes(out);
}

static void fill(struct redis_letter *letter, const strid_bytes parts[PART_COUNT], bool is_own,
                 strid_bytes entry_id)
{
    size_t source = keep(letter, is_own ? parts[SOURCE] : strid_bytes_of_text("redis:"));
    size_t pipeline = keep(letter, parts[PIPELINE]);
    size_t node = keep(letter, parts[NODE]);
    const char *texts = (const char *)letter->text.data;
    int64_t last_ms = moment_of(parts[LAST]);
    letter->letter = (strid_dead_letter){
        .source = texts + source,
        .topic = parts[TOPIC],
        .partition = (uint32_t)number_of(parts[PARTITION], 0),
        .position = letter->letter.position,
        .reason = parts[REASON],
        .type = parts[TYPE],
        .first_failure_ms = parts[FIRST].data == NULL ? last_ms : moment_of(parts[FIRST]),
        .last_failure_ms = last_ms,
        .attempts = (uint32_t)number_of(parts[ATTEMPTS], 0),
        .pipeline = texts + pipeline,
        .node = texts + node,
    };
    letter->output = (strid_output){
        .id = parts[ID].data == NULL ? entry_id : parts[ID],
        .key = parts[KEY],
        .value = parts[VALUE],
        .timestamp_ms = number_of(parts[TIMESTAMP], STRID_TIMESTAMP_NONE),
        .dead_letter = &letter->letter,
    };
}

bool redis_letter_parse(struct redis_letter *letter, const struct redisReply *entry)
{
    strid_bytes parts[PART_COUNT];
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != ENTRY_PARTS ||
        entry->element[1]->type != REDIS_REPLY_ARRAY)
        return false;
    const struct redisReply *fields = entry->element[1];
    buffer_clear(&letter->text);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        find_parts(&forms[i], fields, parts);
        if (parts[TOPIC].data == NULL || parts[REASON].data == NULL ||
            !redis_id_parse(parts[POSITION], &letter->letter.position))
            continue;
        letter->form = &forms[i];
        fill(letter, parts, forms[i].is_own, item(entry, 0));
        if (forms[i].is_own)
            take_headers(letter, fields);
        else
            letter->output.value = put_record(letter, &forms[i], fields);
        return true;
    }
    return false;
}

bool redis_letter_is_own(const struct redis_letter *letter) { return letter->form->is_own; }

bool redis_letter_is_of_record(const struct redis_letter *letter, strid_bytes name)
{
    return part_of(letter->form, name) == PART_COUNT;
}
