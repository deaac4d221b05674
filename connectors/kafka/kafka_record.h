/* A message of Kafka as a record. @thread any, one at a time per message @locks none */
#ifndef KAFKA_RECORD_H
#define KAFKA_RECORD_H

#include <librdkafka/rdkafka.h>
#include <strid/source.h>

/* What strid_intake_add says. The message stays the caller's. */
strid_status kafka_record_add(const rd_kafka_message_t *message, strid_intake *out);

#endif
