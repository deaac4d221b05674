/* Looks at one record of each of many partitions, all at once, through a client of its own that
 * fetches little and waits for nothing. @thread control, or the source's thread; blocks */
#ifndef KAFKA_PROBE_H
#define KAFKA_PROBE_H

#include "kafka_partition.h"
#include "kafka_source_config.h"

struct log;

struct kafka_probe_args {
    const char *brokers;
    const struct kafka_source_options *options;
    const struct kafka_prefetch *prefetch;
    const struct log *log;
};

struct kafka_probe {
    const struct kafka_partition *partition; /* each at most once in a call */
    uint64_t offset;
    bool found;    /* that very record is there; compaction and transactions take records out */
    uint64_t hash; /* of its key, value and timestamp */
    bool answered; /* internal */
};

/* STRID_EUNREACHABLE: not all were answered. */
strid_status kafka_probe_all(const struct kafka_probe_args *args, struct kafka_probe *probes,
                             uint32_t count, strid_error *err);

#endif
