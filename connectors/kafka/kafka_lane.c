#include "kafka_lane.h"

/* Of those a copy costs something, and a lock for each costs nothing. */
enum { LARGE_BYTES = 4096 };

void kafka_lane_init(struct kafka_lane *lane, rd_kafka_t *client)
{
    pthread_mutex_init(&lane->lock, NULL);
    lane->client = client;
    lane->queue = rd_kafka_queue_new(client);
}

void kafka_lane_fini(struct kafka_lane *lane)
{
    if (lane->queue == NULL)
        return;
    kafka_stage_fini(&lane->stage);
    rd_kafka_queue_destroy(lane->queue);
    pthread_mutex_destroy(&lane->lock);
    lane->queue = NULL;
}

static void note_size(struct kafka_lane *lane, const rd_kafka_message_t *raw)
{
    lane->average = (15 * lane->average + raw->len + raw->key_len) / 16;
}

/* After rd_kafka_yield() the others go back to the front of the queue. */
static void copy_message(rd_kafka_message_t *raw, void *self)
{
    struct kafka_lane *lane = self;
    note_size(lane, raw);
    kafka_stage_copy(&lane->stage, raw);
    if (kafka_stage_is_full(&lane->stage))
        rd_kafka_yield(lane->client);
}

static bool is_below_half(uint64_t count, uint64_t bytes, const struct kafka_prefetch *prefetch)
{
    return count < prefetch->messages / 2 && bytes < prefetch->bytes / 2;
}

static void fill(struct kafka_lane *lane, const struct kafka_prefetch *prefetch,
                 rd_kafka_topic_t *topic, int32_t partition)
{
    if (lane->average > LARGE_BYTES) {
        rd_kafka_message_t *own = rd_kafka_consume_queue(lane->queue, 0);
        if (own == NULL)
            return;
        note_size(lane, own);
        kafka_stage_adopt(&lane->stage, own);
        return;
    }
    uint64_t count = rd_kafka_queue_length(lane->queue);
    if (is_below_half(count, count * lane->average, prefetch))
        (void)rd_kafka_consume_callback_queue(lane->queue, 0, copy_message, lane);
    else /* no more than consume.callback.max.messages of them are off the queue */
        (void)rd_kafka_consume_callback(topic, partition, 0, copy_message, lane);
}

const struct kafka_message *kafka_lane_first(struct kafka_lane *lane,
                                             const struct kafka_prefetch *prefetch,
                                             rd_kafka_topic_t *topic, int32_t partition)
{
    const struct kafka_message *first = kafka_stage_first(&lane->stage);
    if (__builtin_expect(first != NULL, 1))
        return first;
    fill(lane, prefetch, topic, partition);
    return kafka_stage_first(&lane->stage);
}

bool kafka_lane_drained(struct kafka_lane *lane, const struct kafka_prefetch *prefetch)
{
    uint64_t count = rd_kafka_queue_length(lane->queue);
    uint64_t bytes = count * lane->average;
    if (count >= prefetch->messages || bytes >= prefetch->bytes / 8 * 7) {
        lane->full = true;
    } else if (lane->full && is_below_half(count, bytes, prefetch)) {
        lane->full = false;
        return true;
    }
    return false;
}
