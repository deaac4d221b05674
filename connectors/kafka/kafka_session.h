/* Everything of librdkafka that a source holds, in one piece, so that it can be ended in a thread
 * of its own: librdkafka's destroy may hang, and the program must not.
 * @thread control, but for lanes and partitions, which have a lock */
#ifndef KAFKA_SESSION_H
#define KAFKA_SESSION_H

#include "kafka_lane.h"
#include "kafka_partition.h"

struct log;

struct kafka_session {
    rd_kafka_t *client;
    rd_kafka_t *member; /* of the group, fetches nothing; NULL: static assignment */
    struct kafka_topics topics;
    struct kafka_partition *partitions; /* topics.partitions of them */
    struct kafka_lane *lanes;           /* partition p is in lane p % lane_count */
    uint32_t lane_count;
};

/* Takes `conf` in any case. Looks up topics and cluster, fetches nothing yet. */
strid_status kafka_session_open(rd_kafka_conf_t *conf, const struct kafka_target *target,
                                uint32_t lanes, const struct log *log, struct kafka_session **out,
                                strid_error *err);
/* Waits some seconds; what does not end then is given up, and said. */
void kafka_session_close(struct kafka_session *session, const struct log *log);

static inline struct kafka_lane *kafka_session_lane(struct kafka_session *session, uint32_t index)
{
    return &session->lanes[index % session->lane_count];
}

/* Fetching of a partition begins at `next`, or ends. @locks takes the lane's */
strid_status kafka_session_start(struct kafka_session *session, struct kafka_partition *partition,
                                 strid_error *err);
void kafka_session_stop(struct kafka_session *session, struct kafka_partition *partition);

/* Whether all that was delivered of a partition behind `from` is done, and durable. What was in
 * hand when it came back is, even if nothing was delivered since. @locks takes the lane's */
bool kafka_session_is_done(struct kafka_session *session, struct kafka_partition *partition);

/* The partition that a message is of; NULL: of none. @locks needs the lane's */
struct kafka_partition *kafka_session_owner(struct kafka_session *session,
                                            const rd_kafka_message_t *message);

#endif
