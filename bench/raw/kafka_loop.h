/* The bare loop behind kafka_noop: librdkafka alone, a simple consumer that reads a topic to its
 * end with the engine's own settings, by the library's fastest call. @thread one */
#ifndef RAW_KAFKA_LOOP_H
#define RAW_KAFKA_LOOP_H

#include "measure.h"

/* `memory`: of the queues, as the engine divides it. */
int kafka_loop_read(const char *brokers, const char *topic, uint32_t partitions, uint64_t memory,
                    struct bench_run *out);

#endif
