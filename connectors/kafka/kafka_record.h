/* A message of Kafka as a record. @thread any, one at a time per message @locks none */
#ifndef KAFKA_RECORD_H
#define KAFKA_RECORD_H

#include <strid/source.h>

#include "kafka_stage.h"

/* What strid_intake_add says. The message stays the caller's. */
strid_status kafka_record_add(const struct kafka_message *message, strid_intake *out);

#endif
