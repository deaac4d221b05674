/* Messages on their way from librdkafka into chunks: copied within its callback, taken from here
 * afterwards, so that what is written meanwhile are a few cache lines that stay with the reader.
 * Each message that librdkafka gives and takes back is counted and locked half a dozen times, and
 * each of these waits until what was written before has left the processor: the lines of a chunk
 * come from a worker's core, and are waited for some forty nanoseconds.
 *
 * A message that cannot be taken yet stays the first.
 * @thread the owner of the lane @locks the lane's */
#ifndef KAFKA_STAGE_H
#define KAFKA_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>

enum { KAFKA_STAGE_MESSAGES = 128, KAFKA_STAGE_BYTES = 32 * 1024 };

struct kafka_message {
    rd_kafka_message_t raw;      /* a copy, `rkt` being NULL where it is to be passed over */
    int64_t timestamp_ms;        /* below 0: none */
    rd_kafka_headers_t *headers; /* owned; NULL: none */
    void *alone;                 /* owned: its key and value, which found no room; NULL: they did */
    rd_kafka_message_t *own;     /* librdkafka's, given back behind it; NULL: copied */
};

/* Zeroed: empty. */
struct kafka_stage {
    uint32_t first, count; /* messages[first] up to messages[count - 1] wait */
    size_t used;           /* of `bytes` */
    struct kafka_message messages[KAFKA_STAGE_MESSAGES];
    uint8_t bytes[KAFKA_STAGE_BYTES];
};

static inline bool kafka_stage_is_full(const struct kafka_stage *stage)
{
    return stage->count == KAFKA_STAGE_MESSAGES || stage->used > KAFKA_STAGE_BYTES / 4 * 3;
}

/* The next one, which stays; NULL: none. */
static inline struct kafka_message *kafka_stage_first(struct kafka_stage *stage)
{
    return stage->first < stage->count ? &stage->messages[stage->first] : NULL;
}

/* Not full, and empty whenever it is filled again. */
void kafka_stage_copy(struct kafka_stage *stage, rd_kafka_message_t *raw);
void kafka_stage_adopt(struct kafka_stage *stage, rd_kafka_message_t *own); /* takes it */

void kafka_stage_pass(struct kafka_stage *stage); /* the first one is done with */
/* Those of a partition are not to be taken any more. */
void kafka_stage_forget(struct kafka_stage *stage, const rd_kafka_topic_t *topic,
                        int32_t partition);
void kafka_stage_fini(struct kafka_stage *stage);

#endif
