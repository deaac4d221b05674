#include "kafka_lane.h"

#include "base/assert.h"

void kafka_lane_init(struct kafka_lane *lane, rd_kafka_t *client)
{
    pthread_mutex_init(&lane->lock, NULL);
    lane->queue = rd_kafka_queue_new(client);
}

void kafka_lane_fini(struct kafka_lane *lane)
{
    if (lane->queue == NULL)
        return;
    if (lane->head != NULL)
        rd_kafka_message_destroy(lane->head);
    rd_kafka_queue_destroy(lane->queue);
    pthread_mutex_destroy(&lane->lock);
    *lane = (struct kafka_lane){.queue = NULL};
}

rd_kafka_message_t *kafka_lane_take(struct kafka_lane *lane)
{
    rd_kafka_message_t *message = lane->head;
    lane->head = NULL;
    if (message != NULL)
        return message;
    message = rd_kafka_consume_queue(lane->queue, 0);
    if (message != NULL)
        lane->average = (15 * lane->average + message->len + message->key_len) / 16;
    return message;
}

void kafka_lane_put_back(struct kafka_lane *lane, rd_kafka_message_t *message)
{
    STRID_ASSERT(lane->head == NULL);
    lane->head = message;
}

bool kafka_lane_drained(struct kafka_lane *lane, const struct kafka_prefetch *prefetch)
{
    uint64_t count = rd_kafka_queue_length(lane->queue);
    uint64_t bytes = count * lane->average;
    if (count >= prefetch->messages || bytes >= prefetch->bytes / 8 * 7) {
        lane->full = true;
    } else if (lane->full && count < prefetch->messages / 2 && bytes < prefetch->bytes / 2) {
        lane->full = false;
        return true;
    }
    return false;
}
