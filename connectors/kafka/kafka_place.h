/* Where reading of a partition begins, and whether what lies there is still what was read before.
 *
 * The fingerprint is the offset of one record before the place, or at it where nothing is before,
 * and a hash of that record. A topic that was deleted and made anew has another record there, or
 * none. @thread control */
#ifndef KAFKA_PLACE_H
#define KAFKA_PLACE_H

#include "kafka_partition.h"
#include "kafka_source_config.h"

struct log;

struct kafka_place {
    rd_kafka_t *client;
    const char *brokers;
    const struct log *log;
    const struct kafka_source_options *options;
    struct kafka_start start;
};

/* Sets next, end, fingerprint and stop of the partition. A gap is in `stop`, and no failure.
 * Failures: STRID_EUNREACHABLE; STRID_ESTATE: the state is empty, but the group was further. */
strid_status kafka_place_find(const struct kafka_place *place, struct kafka_partition *partition,
                              const strid_resume *resume, strid_error *err);

#endif
