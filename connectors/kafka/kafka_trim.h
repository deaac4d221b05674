/* Deletes the beginnings of partitions. @thread the caller's @locks none */
#ifndef KAFKA_TRIM_H
#define KAFKA_TRIM_H

#include <librdkafka/rdkafka.h>
#include <strid/error.h>

/* Up to the offset of each of `before`, whose errors are changed. On failure some may have been
 * deleted: what was said of the first that was not, and what to do. */
strid_status kafka_trim(rd_kafka_t *client, const char *brokers,
                        rd_kafka_topic_partition_list_t *before, strid_error *err);

#endif
