/* Another system as a side of a comparison: a program that bench/rivals/rivals.py built, run in a
 * process of its own. It says how many records it handled, in which time, with how much processor
 * time, both from its first record on; its start is not counted. @thread control */
#ifndef BENCH_RIVAL_H
#define BENCH_RIVAL_H

#include "kafka_host.h"
#include "measure.h"

struct rival {
    const char *name;  /* folder below settings->rivals */
    const char *class; /* that has `main` */
    const struct kafka_host *host;
    uint64_t records; /* of the topic */
    int64_t wait_us;  /* of the handler */
};

/* Its warm-up would be that of another process, and is left out. */
int rival_run(const struct rival *rival, const struct bench_settings *settings, double seconds,
              struct bench_run *out);

#endif
