#include "kafka_letter.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char id_name[] = "strid.id";

/* What Strid writes, in this order, behind the headers of the record itself. */
enum part {
    ID,
    SOURCE,
    TOPIC,
    PARTITION,
    POSITION,
    REASON,
    TYPE,
    FIRST_FAILURE,
    LAST_FAILURE,
    ATTEMPTS,
    PIPELINE,
    NODE,
    PART_COUNT
};

static const char *const part_names[PART_COUNT] = {
    [ID] = "strid.dlq.id",
    [SOURCE] = "strid.dlq.source",
    [TOPIC] = "strid.dlq.topic",
    [PARTITION] = "strid.dlq.partition",
    [POSITION] = "strid.dlq.position",
    [REASON] = "strid.dlq.reason",
    [TYPE] = "strid.dlq.type",
    [FIRST_FAILURE] = "strid.dlq.first-failure-ms",
    [LAST_FAILURE] = "strid.dlq.last-failure-ms",
    [ATTEMPTS] = "strid.dlq.attempts",
    [PIPELINE] = "strid.dlq.pipeline",
    [NODE] = "strid.dlq.node",
};

/* What other programs write. Numbers are text, or big-endian. */
struct family {
    const char *prefix; /* of all that it writes */
    const char *topic, *partition, *position, *reason;
    bool binary;
};

static const struct family families[] = {
    {"__connect.errors.", "__connect.errors.topic", "__connect.errors.partition",
     "__connect.errors.offset", "__connect.errors.exception.message", false},
    {"kafka_dlt-", "kafka_dlt-original-topic", "kafka_dlt-original-partition",
     "kafka_dlt-original-offset", "kafka_dlt-exception-message", true},
    {"__streams.errors.", "__streams.errors.topic", "__streams.errors.partition",
     "__streams.errors.offset", "__streams.errors.message", false},
};

static void add(rd_kafka_headers_t *headers, const char *name, size_t name_len, strid_bytes value)
{
    /* Fails for want of memory only, which ends the process. */
    (void)rd_kafka_header_add(headers, name, (ssize_t)name_len, value.data, (ssize_t)value.len);
}

static void add_part(rd_kafka_headers_t *headers, enum part part, strid_bytes value)
{
    static const uint8_t nothing = 0;
    if (value.data == NULL)
        value = strid_bytes_of(&nothing, 0);
    add(headers, part_names[part], strlen(part_names[part]), value);
}

static void add_number(rd_kafka_headers_t *headers, enum part part, int64_t number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    add_part(headers, part, strid_bytes_of_text(text));
}

static void add_provenance(rd_kafka_headers_t *headers, const strid_output *output)
{
    const strid_dead_letter *letter = output->dead_letter;
    char position[48];
    (void)snprintf(position, sizeof position, "%" PRIu64 "-%" PRIu64, letter->position.high,
                   letter->position.low);
    add_part(headers, ID, output->id);
    add_part(headers, SOURCE, strid_bytes_of_text(letter->source));
    add_part(headers, TOPIC, letter->topic);
    add_number(headers, PARTITION, letter->partition);
    add_part(headers, POSITION, strid_bytes_of_text(position));
    add_part(headers, REASON, letter->reason);
    add_part(headers, TYPE, letter->type);
    add_number(headers, FIRST_FAILURE, letter->first_failure_ms);
    add_number(headers, LAST_FAILURE, letter->last_failure_ms);
    add_number(headers, ATTEMPTS, letter->attempts);
    add_part(headers, PIPELINE, strid_bytes_of_text(letter->pipeline));
    add_part(headers, NODE, strid_bytes_of_text(letter->node));
}

rd_kafka_headers_t *kafka_letter_headers(const strid_output *output)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(output->header_count + PART_COUNT);
    for (uint32_t i = 0; i < output->header_count; i++) {
        const strid_header *header = &output->headers[i];
        add(headers, (const char *)header->name.data, header->name.len, header->value);
    }
    if (output->dead_letter != NULL)
        add_provenance(headers, output);
    else
        add(headers, id_name, sizeof id_name - 1, output->id);
    return headers;
}

void kafka_letter_fini(struct kafka_letter *letter)
{
    buffer_fini(&letter->text);
    memory_free(letter->headers);
    *letter = (struct kafka_letter){0};
}

/* A copy with a terminator; room for all of them was made before the first. */
static const char *text_of(struct kafka_letter *letter, strid_bytes bytes)
{
    const char *text = (const char *)letter->text.data + letter->text.len;
    buffer_put_bytes(&letter->text, bytes);
    buffer_put_u8(&letter->text, 0);
    return text;
}

static int64_t number_of(struct kafka_letter *letter, strid_bytes bytes, bool binary)
{
    if (!binary)
        return strtoll(text_of(letter, bytes), NULL, 10);
    uint64_t number = 0;
    for (size_t i = 0; i < bytes.len && i < sizeof number; i++)
        number = number << 8 | bytes.data[i];
    return (int64_t)number;
}

static uint32_t read_headers(struct kafka_letter *letter, const rd_kafka_headers_t *headers)
{
    uint32_t count = (uint32_t)rd_kafka_header_cnt(headers);
    if (count > letter->header_capacity) {
        letter->header_capacity = count;
        letter->headers = memory_resize(letter->headers, count * sizeof *letter->headers);
    }
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *name = NULL;
        const void *value = NULL;
        size_t len = 0;
        (void)rd_kafka_header_get_all(headers, i, &name, &value, &len);
        letter->headers[i] = (strid_header){strid_bytes_of_text(name), strid_bytes_of(value, len)};
        bytes += len + 1;
    }
    buffer_clear(&letter->text);
    (void)buffer_reserve(&letter->text, bytes + 1);
    return count;
}

static bool has_name(const strid_header *header, const char *name)
{
    return strid_bytes_equal(header->name, strid_bytes_of_text(name));
}

/* Only the last headers are ours: a dead letter may itself be that of another pipeline. */
static bool take_own(struct kafka_letter *letter, uint32_t count)
{
    if (count < PART_COUNT)
        return false;
    const strid_header *parts = letter->headers + count - PART_COUNT;
    for (int part = 0; part < PART_COUNT; part++)
        if (!has_name(&parts[part], part_names[part]))
            return false;
    char *rest = NULL;
    uint64_t high = strtoull(text_of(letter, parts[POSITION].value), &rest, 10);
    uint64_t low = *rest == '-' ? strtoull(rest + 1, NULL, 10) : 0;
    letter->letter = (strid_dead_letter){
        .source = text_of(letter, parts[SOURCE].value),
        .topic = parts[TOPIC].value,
        .partition = (uint32_t)number_of(letter, parts[PARTITION].value, false),
        .position = {high, low},
        .reason = parts[REASON].value,
        .type = parts[TYPE].value,
        .first_failure_ms = number_of(letter, parts[FIRST_FAILURE].value, false),
        .last_failure_ms = number_of(letter, parts[LAST_FAILURE].value, false),
        .attempts = (uint32_t)number_of(letter, parts[ATTEMPTS].value, false),
        .pipeline = text_of(letter, parts[PIPELINE].value),
        .node = text_of(letter, parts[NODE].value),
    };
    letter->output.id = parts[ID].value;
    letter->output.header_count = count - PART_COUNT;
    letter->foreign = NULL;
    return true;
}

static bool take_family(struct kafka_letter *letter, uint32_t count, const struct family *family,
                        int64_t timestamp_ms)
{
    bool found = false;
    strid_dead_letter out = {.source = "",
                             .pipeline = "",
                             .node = "",
                             .reason = strid_bytes_of_text("unknown"),
                             .attempts = 1,
                             .first_failure_ms = timestamp_ms,
                             .last_failure_ms = timestamp_ms};
    for (uint32_t i = 0; i < count; i++) {
        const strid_header *header = &letter->headers[i];
        if (has_name(header, family->topic)) {
            out.topic = header->value;
            found = true;
        } else if (has_name(header, family->partition)) {
            out.partition = (uint32_t)number_of(letter, header->value, family->binary);
        } else if (has_name(header, family->position)) {
            out.position.low = (uint64_t)number_of(letter, header->value, family->binary);
        } else if (has_name(header, family->reason)) {
            out.reason = header->value;
        }
    }
    if (found)
        letter->letter = out;
    letter->output.header_count = count;
    letter->foreign = family->prefix;
    return found;
}

/* What other programs write has no id; its own place is one. */
static void make_id(struct kafka_letter *letter, const rd_kafka_message_t *message)
{
    buffer_clear(&letter->text);
    buffer_printf(&letter->text, "%s/%" PRId32 "/%" PRId64, rd_kafka_topic_name(message->rkt),
                  message->partition, message->offset);
    letter->output.id = buffer_bytes(&letter->text);
}

bool kafka_letter_read(struct kafka_letter *letter, const rd_kafka_headers_t *headers,
                       int64_t timestamp_ms)
{
    uint32_t count = read_headers(letter, headers);
    bool found = take_own(letter, count);
    for (size_t f = 0; !found && f < sizeof families / sizeof families[0]; f++)
        found = take_family(letter, count, &families[f], timestamp_ms);
    letter->output.headers = letter->headers;
    letter->output.dead_letter = &letter->letter;
    return found;
}

bool kafka_letter_parse(struct kafka_letter *letter, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_timestamp_type_t kind;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &kind);
    letter->output.id = strid_bytes_of(NULL, 0);
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        !kafka_letter_read(letter, headers, timestamp_ms))
        return false;
    if (letter->output.id.data == NULL)
        make_id(letter, message);
    letter->output.key = strid_bytes_of(message->key, message->key_len);
    letter->output.value = strid_bytes_of(message->payload, message->len);
    letter->output.timestamp_ms =
        kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? STRID_TIMESTAMP_NONE : timestamp_ms;
    return true;
}

static bool begins_with(strid_bytes name, const char *prefix)
{
    return name.len >= strlen(prefix) && memcmp(name.data, prefix, strlen(prefix)) == 0;
}

rd_kafka_headers_t *kafka_letter_original(const struct kafka_letter *letter)
{
    const strid_bytes count_name = strid_bytes_of_text(STRID_HEADER_REPLAYS);
    const strid_output *output = &letter->output;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(output->header_count + 1);
    uint64_t replays = 0;
    for (uint32_t i = 0; i < output->header_count; i++) {
        const strid_header *header = &output->headers[i];
        if (strid_bytes_equal(header->name, count_name))
            for (size_t c = 0; c < header->value.len && replays < UINT32_MAX; c++)
                replays = 10 * replays + (uint64_t)(header->value.data[c] - '0') % 10;
        else if (letter->foreign == NULL || !begins_with(header->name, letter->foreign))
            add(headers, (const char *)header->name.data, header->name.len, header->value);
    }
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, replays + 1);
    add(headers, STRID_HEADER_REPLAYS, sizeof STRID_HEADER_REPLAYS - 1, strid_bytes_of_text(text));
    return headers;
}
