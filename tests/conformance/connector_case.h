/* Sources and sinks opened from a URL, as the engine opens them, for the conformance suites. */
#ifndef CONFORMANCE_CONNECTOR_CASE_H
#define CONFORMANCE_CONNECTOR_CASE_H

#include <strid/sink.h>
#include <strid/source.h>

#include "base/log.h"
#include "support/support.h"

#include "connector_intake.h"

struct opened {
    strid_connector_args args;
    char *url;
    char *target;
    void *options;
    const strid_option *table;
};

struct opened_source {
    const strid_source_ops *ops;
    strid_source *self; /* NULL: not open */
    struct opened at;
};

struct opened_sink {
    const strid_sink_ops *ops;
    strid_sink *self; /* NULL: not open */
    struct opened at;
};

/* On failure nothing is open, but the close functions may be called. */
strid_status source_open_url(struct opened_source *source, const char *url, strid_error *err);
/* With a log that outlives it, and a memory (0: nothing is said of it). */
strid_status source_open_logged(struct opened_source *source, const char *url,
                                const struct log *log, uint64_t memory_bytes, strid_error *err);
void source_close(struct opened_source *source);
strid_status sink_open_url(struct opened_sink *sink, const char *url, strid_error *err);
void sink_close(struct opened_sink *sink);

/* Goes to a position; `resumed` false where it is NULL. */
strid_status source_assign_at(struct opened_source *source, uint32_t partition,
                              const strid_position *position, strid_bytes fingerprint,
                              strid_error *err);
/* Polls until the end or an error; refusals of the intake are offered again. */
strid_status source_drain(struct opened_source *source, uint32_t partition,
                          struct strid_intake *intake, uint32_t records_max, strid_error *err);

/* The sources that every clause runs over. Partition 0 holds SOURCE_CASE_RECORDS records. */
enum { SOURCE_CASES = 8, SOURCE_CASE_KAFKA = SOURCE_CASES, SOURCE_CASE_RECORDS = 60 };

/* A broker that a test has started and filled (test_conformance.py): the suites then run over that
 * one alone. NULL: there is none. */
const char *connector_case_kafka(void);
/* What a source says of a place that it does not have: when it is assigned or, where other
 * partitions are to go on, when it is polled. */
strid_status source_refusal(struct opened_source *source, const strid_position *position,
                            strid_bytes fingerprint, strid_error *err);

struct source_case {
    struct support_directory directory;
    struct opened_source source;
    struct strid_intake intake;
    strid_error err;
    int index;
    char url[SUPPORT_PATH_MAX + 128];
};

void source_case_open(struct source_case *at, int index);
void source_case_close(struct source_case *at);
/* As a new process would: closed and opened from the same URL, with what is durable there. */
void source_case_reopen(struct source_case *at);
/* Whether it holds its records over source_case_reopen. */
bool source_case_is_durable(const struct source_case *at);
/* Whether record `index` of partition 0 is what it should be. */
bool source_case_is_right(const struct source_case *at, const struct strid_intake *intake,
                          size_t taken, size_t index);

#endif
