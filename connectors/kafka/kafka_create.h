/* Makes a topic that is not there. @thread the owner of the client */
#ifndef KAFKA_CREATE_H
#define KAFKA_CREATE_H

#include "kafka_client.h"

/* With the partitions and replicas that the brokers give a topic by default, unless it is there.
 * Fails where the brokers do not answer, or refuse. */
strid_status kafka_create_topic(rd_kafka_t *client, const char *brokers, rd_kafka_topic_t *topic,
                                const struct log *log, strid_error *err);

#endif
