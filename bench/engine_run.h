/* Driving the engine through its public interface, for a time or until it has read enough.
 * @thread control; a thread of its own watches the run and ends it */
#ifndef BENCH_ENGINE_RUN_H
#define BENCH_ENGINE_RUN_H

#include <strid/strid.h>

#include "measure.h"

struct engine_run {
    const char *name; /* of the workload, for messages and --hold */
    const char *source;
    const char *state;     /* URL; NULL: memory: */
    const char *directory; /* of the state, whose sorted files --hold counts; NULL: none */
    const char *format;    /* NULL: the source's */
    const char *key;       /* NULL: the record's own */
    const char *dlq;
    const char *store; /* NULL: the handler keeps no state */
    strid_handler handler;
    void *user;
    strid_store *store_out; /* where the handler finds its store */
    const struct bench_settings *settings;
    /* Around the run, with `user`; both may be NULL. opened returns 0 or -1. */
    int (*opened)(void *user, strid_pipeline *pipeline);
    void (*closing)(void *user);
    uint32_t workers;      /* 0: as the settings say */
    uint64_t parked;       /* records of a partition that may wait; 0: as without saying */
    int64_t retry_ms;      /* between attempts; 0: as without saying */
    double seconds;        /* 0: until the source ends */
    uint64_t records_stop; /* 0: none; else the run ends once so many were handled */
    bool hold;             /* print figures every second */
};

/* Runs a pipeline from creation to destruction. What `out` counts is durable: the clock runs from
 * the first record until strid_pipeline_run returned. `stats` may be NULL. */
int engine_run(const struct engine_run *run, struct bench_run *out, strid_pipeline_stats *stats);

/* Adds up the integers of a store of a stopped node; of longer values those they begin with. */
int engine_run_sum(const char *state, const char *store, int64_t *sum, uint64_t *keys);

#endif
