/* What strid-bench can measure. Each workload measures itself against its raw loop, checks that
 * the results add up, and reports. @thread control */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "measure.h"

struct workload {
    const char *name;
    const char *summary;
    uint64_t keys;
    bool zipf;       /* exponent 1, else uniform */
    uint64_t memory; /* 0: the usual */
    int64_t wait_us; /* of a handler, for each record */
    /* Returns 0, or -1 with a message on stderr. */
    int (*run)(const struct workload *workload, const struct bench_settings *settings);
};

int engine_noop(const struct workload *workload, const struct bench_settings *settings);
int engine_bytes(const struct workload *workload, const struct bench_settings *settings);
int engine_cost(const struct workload *workload, const struct bench_settings *settings);
int engine_count(const struct workload *workload, const struct bench_settings *settings);
int engine_retry(const struct workload *workload, const struct bench_settings *settings);
int engine_spill(const struct workload *workload, const struct bench_settings *settings);
int file_count(const struct workload *workload, const struct bench_settings *settings);
int kafka_noop(const struct workload *workload, const struct bench_settings *settings);
int kafka_produce(const struct workload *workload, const struct bench_settings *settings);
int kafka_sweep(const struct workload *workload, const struct bench_settings *settings);
int kafka_count(const struct workload *workload, const struct bench_settings *settings);
int redis_read_ack(const struct workload *workload, const struct bench_settings *settings);
int redis_count(const struct workload *workload, const struct bench_settings *settings);
int redis_produce(const struct workload *workload, const struct bench_settings *settings);
int redis_latency(const struct workload *workload, const struct bench_settings *settings);

#endif
