/* A topic on the broker that STRID_BENCH_KAFKA names, made and filled for one workload.
 * @thread control */
#ifndef BENCH_KAFKA_HOST_H
#define BENCH_KAFKA_HOST_H

#include "measure.h"

enum { KAFKA_HOST_PARTITIONS = 6 };

struct kafka_host {
    const char *brokers;
    char topic[64];
};

/* NULL: none was named. */
const char *kafka_host_brokers(void);

/* Makes the topic and fills it with records of a key and value_bytes. */
int kafka_host_start(struct kafka_host *host, uint64_t records, uint64_t keys,
                     uint32_t value_bytes);
void kafka_host_stop(struct kafka_host *host); /* deletes the topic */

#endif
