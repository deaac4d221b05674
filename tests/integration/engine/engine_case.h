/* A pipeline by the public API alone, and what a test asks of it. */
#ifndef ENGINE_ENGINE_CASE_H
#define ENGINE_ENGINE_CASE_H

#include <stdatomic.h>

#include <strid/strid.h>

#include "support/support.h"

enum { ENGINE_CASE_TEXT_MAX = SUPPORT_PATH_MAX + 64 };

struct engine_case {
    struct support_directory directory;
    char state[ENGINE_CASE_TEXT_MAX]; /* "rocksdb:<directory>/state" */
    char input[SUPPORT_PATH_MAX];     /* "<directory>/input" */
    char source[ENGINE_CASE_TEXT_MAX];
    strid_pipeline *pipeline;
    strid_store counts;
    strid_error err;
    _Atomic uint32_t logs;
    char last_log[512]; /* written before `logs` rises; by one thread at a time */
};

void engine_case_init(struct engine_case *at); /* source: the file `input` */
void engine_case_fini(struct engine_case *at);

/* A pipeline over at->source and at->state with a store "counts". Failures end the test. */
void engine_case_create(struct engine_case *at, const char *format, uint32_t workers);
void engine_case_on(struct engine_case *at, strid_handler handler, void *user);
strid_status engine_case_run(struct engine_case *at);

/* Adds 1 to the key's counter; user: struct engine_case. */
strid_outcome engine_case_count(strid_context *ctx, const strid_record *record, void *user);

/* `count` lines {"n":<from..>,"key":"k<n % keys>"} appended to `path`. */
void engine_case_append(const char *path, uint64_t from, uint64_t count, uint64_t keys);

/* Sum of all integers in the state, and how many entries there are. The pipeline must not run. */
int64_t engine_case_total(struct engine_case *at, uint64_t *entries);
strid_pipeline_stats engine_case_stats(struct engine_case *at);

#endif
