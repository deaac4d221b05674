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

/* False: none was named, which is told. */
bool kafka_host_is_there(const char *workload);

/* Makes the topic and fills it with records of a key and value_bytes. */
int kafka_host_start(struct kafka_host *host, uint64_t records, uint64_t keys,
                     uint32_t value_bytes);
/* How many records the topic holds. */
int kafka_host_count(const struct kafka_host *host, uint64_t *out);
void kafka_host_stop(struct kafka_host *host); /* deletes the topic */

#endif
