/* librdkafka alone as a producer, with the engine's settings. @thread control */
#ifndef BENCH_RAW_KAFKA_SEND_LOOP_H
#define BENCH_RAW_KAFKA_SEND_LOOP_H

#include "measure.h"

/* Sends `records` values of value_bytes with keys, and waits until all are acknowledged. */
int kafka_send_loop(const char *brokers, const char *topic, uint64_t records, uint64_t key_count,
                    uint32_t value_bytes, struct bench_run *out);

#endif
