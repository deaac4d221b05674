/* The queue that librdkafka puts the messages of some partitions into, those that one reader polls.
 * Being common to them, it bounds what they hold together, however many they are. A reader that
 * asks for another partition than the first message's gets nothing and asks again in turn.
 *
 * Small messages are fetched by a callback, some for each look at the queue: a call for each would
 * lock it and read the clock each time. librdkafka lifts the whole queue off for that, and while it
 * is off sees none, and fetches more; so only a queue below its half is lifted whole. Large ones
 * are taken one by one, without a copy.
 *
 * 2.0.2 looks at the length of a queue only when its thread for that broker wakes up; after it
 * found all queues full it may sleep for a second. So whoever drains a full queue to its half says
 * so, and the control thread wakes it (kafka_control_kick).
 * @thread the readers, one at a time @locks lock */
#ifndef KAFKA_LANE_H
#define KAFKA_LANE_H

#include <pthread.h>

#include "kafka_source_config.h"
#include "kafka_stage.h"

struct kafka_lane {
    pthread_mutex_t lock; /* guards all below, and the partitions of the lane */
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct kafka_stage stage;
    uint64_t average; /* bytes of a message, of late */
    bool full;        /* it was, and is not yet at its half */
};

void kafka_lane_init(struct kafka_lane *lane, rd_kafka_t *client);
void kafka_lane_fini(struct kafka_lane *lane);

/* The next message, which stays the next one until kafka_stage_pass(); NULL: none there. `topic`
 * and `partition` are any of the lane's that is fetched. */
const struct kafka_message *kafka_lane_first(struct kafka_lane *lane,
                                             const struct kafka_prefetch *prefetch,
                                             rd_kafka_topic_t *topic, int32_t partition);
/* Whether it has just gone from full to its half. */
bool kafka_lane_drained(struct kafka_lane *lane, const struct kafka_prefetch *prefetch);

#endif
