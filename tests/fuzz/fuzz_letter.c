/* Any bytes as a dead letter that is read back: a line of a file, the headers of a Kafka message,
 * an answer of Redis with an entry. A letter or none; all that it says lies within what was given.
 * The first byte chooses the form. */
#include "fuzz.h"

#include <string.h>

#include <hiredis/hiredis.h>

#include "base/assert.h"
#include "base/memory.h"
#include "connectors/file/file_letter.h"
#include "connectors/kafka/kafka_letter.h"
#include "connectors/redis/redis_letter.h"
#include "connectors/redis/redis_reply.h"

enum { REPLY_MAX = 1 << 20 };

static uint64_t sum; /* so that every byte of a letter is looked at */

static void touch(strid_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        sum += bytes.data[i];
}

static void look_at(const strid_output *output)
{
    const strid_dead_letter *letter = output->dead_letter;
    STRID_ASSERT(letter != NULL && letter->source != NULL);
    sum += strlen(letter->source) + strlen(letter->pipeline) + strlen(letter->node);
    touch(letter->topic);
    touch(letter->reason);
    touch(letter->type);
    touch(output->id);
    touch(output->key);
    touch(output->value);
    for (uint32_t i = 0; i < output->header_count; i++) {
        touch(output->headers[i].name);
        touch(output->headers[i].value);
    }
}

static void read_line(strid_bytes line)
{
    struct file_letter letter = {0};
    struct json_parser *parser = json_parser_create();
    if (file_letter_parse(&letter, parser, line))
        look_at(&letter.output);
    json_parser_destroy(parser);
    file_letter_fini(&letter);
}

/* A byte with the length; nothing more where it runs short. */
static strid_bytes take(strid_bytes *from)
{
    if (from->len == 0)
        return strid_bytes_of(NULL, 0);
    size_t len = from->data[0] < from->len ? from->data[0] : from->len - 1;
    strid_bytes bytes = strid_bytes_of(from->data + 1, len);
    *from = strid_bytes_of(from->data + 1 + len, from->len - 1 - len);
    return bytes;
}

/* Names and values in turn, each behind a byte with its length. */
static void read_headers(strid_bytes given)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    struct kafka_letter letter = {0};
    while (given.len > 0) {
        strid_bytes name = take(&given), value = take(&given);
        (void)rd_kafka_header_add(headers, (const char *)name.data, (ssize_t)name.len, value.data,
                                  (ssize_t)value.len);
    }
    if (kafka_letter_read(&letter, headers, 1))
        look_at(&letter.output);
    kafka_letter_fini(&letter);
    rd_kafka_headers_destroy(headers);
}

static void read_reply(strid_bytes given)
{
    struct redis_replies replies;
    struct redis_letter letter = {0};
    struct redisReply *reply = NULL;
    strid_error err = STRID_ERROR_INIT;
    redis_replies_init(&replies, REPLY_MAX);
    if (redis_replies_feed(&replies, given.data, given.len, &err) == STRID_OK &&
        redis_replies_next(&replies, &reply, &err) == STRID_OK) {
        if (redis_letter_parse(&letter, reply))
            look_at(&letter.output);
        redis_reply_free(reply);
    }
    redis_letter_fini(&letter);
    redis_replies_fini(&replies);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t *bytes = memory_alloc(size); /* ends where the letter does */
    memcpy(bytes, data + 1, size - 1);
    strid_bytes given = strid_bytes_of(bytes, size - 1);
    if (data[0] % 3 == 0)
        read_line(given);
    else if (data[0] % 3 == 1)
        read_headers(given);
    else
        read_reply(given);
    memory_free(bytes);
    return 0;
}
