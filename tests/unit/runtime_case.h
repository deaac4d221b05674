/* A run without threads: the test pumps its agents, time stands still unless it moves it, and the
 * store in memory outlives the run. Source "memory:in", sink "out" and dead letters in memory. */
#ifndef UNIT_RUNTIME_CASE_H
#define UNIT_RUNTIME_CASE_H

#include "directory_case.h"
#include "runtime/run.h"

struct runtime_case {
    struct directory_case store; /* its log is the run's */
    struct definition *definition;
    strid_source *source;
    struct sink_definition dlq;
    struct sink_instance sinks[2]; /* "out", dead letters */
    strid_connector_args args;
    struct clock clock;
    int64_t now_ns;
    struct run_options options;
    struct run *run;
    strid_store counts; /* a declared store */
};

void runtime_case_init(struct runtime_case *at, strid_handler handler, void *user);
/* With another source, which is in memory, too. */
void runtime_case_init_from(struct runtime_case *at, const char *source_url, strid_handler handler,
                            void *user);
void runtime_case_fini(struct runtime_case *at);

void runtime_case_push(struct runtime_case *at, const char *key, const char *value);
void runtime_case_push_end(struct runtime_case *at);

/* Makes a run (destroying the last one). Failures end the test. */
void runtime_case_start(struct runtime_case *at);
/* One turn of all agents, then a millisecond goes by; returns how much work was done. */
int runtime_case_turn(struct runtime_case *at);
/* Until the run has finished or failed, at most 10,000 turns; whether it finished. */
bool runtime_case_finish(struct runtime_case *at);
/* Entries of a store, of the engine's or a declared one, as they were when the run began. */
size_t runtime_case_entries(const struct runtime_case *at, uint8_t store);
strid_status runtime_case_take(struct runtime_case *at, uint32_t sink, strid_output *out);

#endif
