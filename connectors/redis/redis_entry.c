#include "redis_entry.h"

#include "redis_command.h"
#include "redis_move.h"

#include <inttypes.h>
#include <stdio.h>

enum { NUMBER_TEXT_MAX = 48, ID_WORDS = 1, TRIM_WORDS = 3 };

struct entry {
    struct buffer *words;
    uint32_t count;
};

static void put(struct entry *entry, const char *name, strid_bytes value)
{
    redis_command_text(entry->words, name);
    redis_command_word(entry->words, value);
    entry->count += 2;
}

static void put_present(struct entry *entry, const char *name, strid_bytes value)
{
    if (value.data != NULL && name[0] != '\0')
        put(entry, name, value);
}

static void put_text(struct entry *entry, const char *name, const char *value)
{
    put_present(entry, name, strid_bytes_of_text(value));
}

static void put_integer(struct entry *entry, const char *name, int64_t value)
{
    char text[NUMBER_TEXT_MAX];
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    put_text(entry, name, text);
}

static void put_position(struct entry *entry, strid_position position)
{
    char text[NUMBER_TEXT_MAX];
    (void)snprintf(text, sizeof text, "%" PRIu64 "-%" PRIu64, position.high, position.low);
    put_text(entry, "position", text);
}

/* The field's name is a prefix and the header's, which may be any bytes. */
static void put_header(struct entry *entry, const strid_header *header)
{
    const char *prefix =
        header->value.data == NULL ? REDIS_ENTRY_HEADER_ABSENT : REDIS_ENTRY_HEADER;
    struct buffer name = {0};
    buffer_printf(&name, "%s", prefix);
    buffer_put_bytes(&name, header->name);
    redis_command_word(entry->words, buffer_bytes(&name));
    redis_command_word(entry->words, header->value);
    buffer_fini(&name);
    entry->count += 2;
}

static void put_letter(struct entry *entry, const strid_output *output)
{
    const strid_dead_letter *letter = output->dead_letter;
    put_present(entry, "id", output->id);
    put_text(entry, "source", letter->source);
    put(entry, "topic", letter->topic);
    put_integer(entry, "partition", letter->partition);
    put_position(entry, letter->position);
    put(entry, "reason", letter->reason);
    if (letter->type.len > 0)
        put(entry, "type", letter->type);
    put_present(entry, "key", output->key);
    put_present(entry, "value", output->value);
    if (output->timestamp_ms != STRID_TIMESTAMP_NONE)
        put_integer(entry, "timestamp", output->timestamp_ms);
    put_integer(entry, "first_failure", letter->first_failure_ms);
    put_integer(entry, "last_failure", letter->last_failure_ms);
    put_integer(entry, "attempts", letter->attempts);
    put_text(entry, "pipeline", letter->pipeline);
    put_text(entry, "node", letter->node);
    for (uint32_t i = 0; i < output->header_count; i++)
        put_header(entry, &output->headers[i]);
}

static void put_field(struct entry *entry, const strid_header *field)
{
    redis_command_word(entry->words, field->name);
    redis_command_word(entry->words, field->value);
    entry->count += 2;
}

/* The members of the value, which has to be an object. */
static void put_members(struct entry *entry, const struct redis_object *object)
{
    for (uint32_t i = 0; i < redis_object_count(object); i++)
        put_field(entry, &redis_object_at(object, i)->field);
}

static void put_output(struct entry *entry, struct redis_object *object,
                       const struct redis_sink_options *options, const strid_output *output)
{
    put_present(entry, options->id_field, output->id);
    put_present(entry, options->key_field, output->key);
    if (options->flat && redis_object_read(object, output->value))
        put_members(entry, object);
    else
        put_present(entry, options->field, output->value);
    for (uint32_t i = 0; i < output->header_count; i++)
        put_field(entry, &output->headers[i]);
    if (entry->count == 0) /* an entry has a field at least */
        put(entry, options->field, strid_bytes_of("", 0));
}

static void put_trim(struct buffer *out, const struct redis_sink_options *options, int64_t now_ms)
{
    redis_command_text(out, options->maxlen > 0 ? "MAXLEN" : "MINID");
    redis_command_text(out, "~");
    int64_t oldest_ms = now_ms > options->keep_ms ? now_ms - options->keep_ms : 0;
    redis_command_number(out, (uint64_t)(options->maxlen > 0 ? options->maxlen : oldest_ms));
}

void redis_entry_room_fini(struct redis_entry_room *room)
{
    buffer_fini(&room->fields);
    redis_object_fini(&room->object);
}

void redis_entry_put(struct buffer *out, struct redis_entry_room *room, const char *stream,
                     const struct redis_sink_options *options, int64_t now_ms,
                     const strid_output *output)
{
    struct entry entry = {.words = &room->fields};
    bool trims = options->maxlen > 0 || options->keep_ms > 0;
    buffer_clear(&room->fields);
    if (output->dead_letter != NULL)
        put_letter(&entry, output);
    else
        put_output(&entry, &room->object, options, output);
    const uint32_t words = entry.count + ID_WORDS + (trims ? (uint32_t)TRIM_WORDS : 0);
    if (output->dead_letter != NULL && options->move_from != NULL && redis_move_has_room(words)) {
        redis_move_begin(out, stream, options->move_from, output->dead_letter, words);
    } else {
        redis_command_begin(out, 2 + words);
        redis_command_text(out, "XADD");
        redis_command_text(out, stream);
    }
    if (trims)
        put_trim(out, options, now_ms);
    redis_command_text(out, "*");
    buffer_put_bytes(out, buffer_bytes(&room->fields));
}
