/* The thread beside the readers: tells the group how far everything is durable, one commit in
 * flight; says what librdkafka reports; looks for new partitions; wakes librdkafka's fetching; is
 * the member of the group that shares partitions out. It alone polls the main queues. @thread
 * control creates and ends it */
#ifndef KAFKA_CONTROL_H
#define KAFKA_CONTROL_H

#include "kafka_member.h"
#include "kafka_source_config.h"

struct log;
struct kafka_control;

struct kafka_control_args {
    struct kafka_session *session; /* whose are the client, topics and partitions */
    rd_kafka_t *client;
    const char *brokers, *wanted;
    const struct kafka_source_options *options;
    struct kafka_topics *topics;
    struct kafka_partition *partitions; /* topics->partitions of them */
    struct kafka_member *member;        /* its thread is this one; NULL: static assignment */
    rd_kafka_t *member_client;
    const struct log *log;
};

/* What `args` points to outlives it. */
strid_status kafka_control_create(const struct kafka_control_args *args, struct kafka_control **out,
                                  strid_error *err);
/* Tells the group what is left, a few seconds at most. Everything that is asked is answered then.
 */
void kafka_control_destroy(struct kafka_control *control);

/* A queue was drained: librdkafka is to look at it. @thread any */
void kafka_control_kick(struct kafka_control *control);
/* The source is to be opened anew, as where topics or partitions came. @thread any */
void kafka_control_reopen(struct kafka_control *control);
/* Either was. Stays true. @thread any */
bool kafka_control_changed(const struct kafka_control *control);

#endif
