/* The queue that librdkafka puts the messages of some partitions into, those that one reader polls.
 * Being common to them, it bounds what they hold together, however many they are. A reader that
 * asks for another partition than the first message's gets nothing and asks again in turn.
 *
 * 2.0.2 looks at the length of a queue only when its thread for that broker wakes up; after it
 * found all queues full it may sleep for a second. So whoever drains a full queue to its half says
 * so, and the control thread wakes it (kafka_control_kick).
 * @thread the readers, one at a time @locks lock */
#ifndef KAFKA_LANE_H
#define KAFKA_LANE_H

#include <pthread.h>

#include "kafka_source_config.h"

struct kafka_lane {
    pthread_mutex_t lock; /* guards all below, and the partitions of the lane */
    rd_kafka_queue_t *queue;
    rd_kafka_message_t *head; /* taken, not yet delivered; NULL: none */
    uint64_t average;         /* bytes of a message, of late */
    bool full;                /* it was, and is not yet at its half */
};

void kafka_lane_init(struct kafka_lane *lane, rd_kafka_t *client);
void kafka_lane_fini(struct kafka_lane *lane);

/* The next message, which is the caller's; NULL: none there. */
rd_kafka_message_t *kafka_lane_take(struct kafka_lane *lane);
/* The message is the next one again. */
void kafka_lane_put_back(struct kafka_lane *lane, rd_kafka_message_t *message);
/* Whether it has just gone from full to its half. */
bool kafka_lane_drained(struct kafka_lane *lane, const struct kafka_prefetch *prefetch);

#endif
