/* Which keys a pipeline file has: read by definition_load, checked by section, printed by the
 * generator of docs/configuration.md. */
#ifndef PIPELINE_LAYOUT_H
#define PIPELINE_LAYOUT_H

#include <stdbool.h>

#include <strid/config.h>

/* A key that is more than one plain value. */
struct layout_key {
    const char *name; /* NULL ends a table */
    const char *expected;
    bool required;
    const char *doc;
};

struct layout {
    const char *name; /* of the section; NULL: the file itself */
    const char *doc;
    const strid_option *options; /* NULL: none */
    const struct layout_key *keys;
};

struct layout_pipeline_values {
    const char *name;
    int32_t delivery; /* 0 at_least_once, 1 exactly_once */
    uint64_t memory;
    int64_t watchdog;
    int64_t drain_timeout;
    int32_t unrouted; /* enum definition_unrouted */
    int64_t timeout;
    int32_t on_timeout; /* enum definition_on_timeout */
    int32_t ordering;   /* strid_ordering - 1 */
};

struct layout_source_values {
    int32_t format; /* index in layout_formats */
    const char *key;
    const char *type;
    const char *pattern;
    int32_t unmatched; /* enum decode_unmatched */
};

struct layout_state_values {
    int32_t durability; /* strid_durability - 1 */
    int64_t ttl;
};

/* One store under `stores` of the state. */
struct layout_store_values {
    int64_t ttl;
    bool ordered;
};

struct layout_handler_values {
    const char *on;
    int64_t timeout;
};

struct layout_backoff_values {
    int64_t min;
    int64_t max;
};

struct layout_retry_values {
    int64_t max_attempts;
    int64_t max_parked;
    uint64_t max_parked_bytes;
};

extern const char *const layout_formats[];
extern const struct layout layout_pipeline, layout_source, layout_state, layout_store,
    layout_handler, layout_sink, layout_dlq, layout_retry, layout_backoff;
/* All of them in the order of the documentation, NULL-terminated. */
extern const struct layout *const layout_sections[];

#endif
