/* Where reading of partitions begins, and whether what lies there is still what was read before.
 * All partitions are asked about together: a start takes as long for many as for few.
 *
 * The fingerprint is the offset of one record before the place, or at it where nothing is before,
 * and a hash of that record. A topic that was deleted and made anew has another record there, or
 * none.
 *
 * In a group whose members share the partitions the group says where reading goes on, for others
 * may have read since; only a node that keeps state, and so is alone, goes by what it knows.
 * @thread control, or the source's thread */
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
    const struct kafka_prefetch *prefetch;
    struct kafka_start start;
    bool keeps_state;
    bool takes_fingerprints; /* anew, for the next run */
};

/* Sets next, end, fingerprint and stop of each partition, in a group what it was told. A gap is in
 * `stop`, and no failure. Failures: STRID_EUNREACHABLE; STRID_ESTATE: the state is empty, but the
 * group was further, or in a group: it is further than the state. */
strid_status kafka_place_find(const struct kafka_place *place,
                              struct kafka_partition *const *partitions,
                              const strid_resume *resumes, uint32_t count, strid_error *err);

#endif
