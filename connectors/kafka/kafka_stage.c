#include "kafka_stage.h"

#include "base/assert.h"
#include "base/memory.h"

#include "kafka_headers.h"

#include <string.h>

static struct kafka_message *add(struct kafka_stage *stage, const rd_kafka_message_t *raw)
{
    rd_kafka_timestamp_type_t type;
    STRID_ASSERT(stage->count < KAFKA_STAGE_MESSAGES);
    struct kafka_message *message = &stage->messages[stage->count++];
    message->raw = *raw;
    message->timestamp_ms = rd_kafka_message_timestamp(raw, &type);
    message->headers = NULL;
    message->alone = NULL;
    message->own = NULL;
    return message;
}

static void take_headers(struct kafka_message *message, rd_kafka_message_t *raw)
{
    if (raw->err == RD_KAFKA_RESP_ERR_NO_ERROR && !kafka_headers_absent(raw) &&
        rd_kafka_message_detach_headers(raw, &message->headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        message->headers = NULL;
}

/* The text of an error is read to its 0. */
static uint8_t *place_for(struct kafka_stage *stage, struct kafka_message *message)
{
    size_t bytes = message->raw.key_len + message->raw.len + 1;
    if (__builtin_expect(bytes > KAFKA_STAGE_BYTES - stage->used, 0))
        return message->alone = memory_alloc(bytes);
    uint8_t *place = stage->bytes + stage->used;
    stage->used += bytes;
    return place;
}

void kafka_stage_copy(struct kafka_stage *stage, rd_kafka_message_t *raw)
{
    struct kafka_message *message = add(stage, raw);
    if (raw->key == NULL)
        message->raw.key_len = 0;
    if (raw->payload == NULL)
        message->raw.len = 0;
    uint8_t *place = place_for(stage, message);
    if (raw->key != NULL)
        message->raw.key = memcpy(place, raw->key, raw->key_len);
    place += message->raw.key_len;
    if (raw->payload != NULL)
        message->raw.payload = memcpy(place, raw->payload, raw->len);
    place[message->raw.len] = 0;
    take_headers(message, raw);
}

void kafka_stage_adopt(struct kafka_stage *stage, rd_kafka_message_t *own)
{
    struct kafka_message *message = add(stage, own);
    message->own = own;
    take_headers(message, own);
}

static void release(struct kafka_message *message)
{
    if (message->headers != NULL)
        rd_kafka_headers_destroy(message->headers);
    if (message->own != NULL)
        rd_kafka_message_destroy(message->own);
    memory_free(message->alone);
}

void kafka_stage_pass(struct kafka_stage *stage)
{
    struct kafka_message *message = kafka_stage_first(stage);
    if (__builtin_expect(message->headers != NULL || message->own != NULL || message->alone != NULL,
                         0))
        release(message);
    if (++stage->first < stage->count)
        return;
    stage->first = stage->count = 0;
    stage->used = 0;
}

void kafka_stage_forget(struct kafka_stage *stage, const rd_kafka_topic_t *topic, int32_t partition)
{
    for (uint32_t i = stage->first; i < stage->count; i++)
        if (stage->messages[i].raw.rkt == topic && stage->messages[i].raw.partition == partition)
            stage->messages[i].raw.rkt = NULL;
}

void kafka_stage_fini(struct kafka_stage *stage)
{
    while (kafka_stage_first(stage) != NULL)
        kafka_stage_pass(stage);
}
