/* What a pipeline consists of, made by the pipeline file or by the C API, read by the runtime.
 * Owned by one thread until the pipeline runs, then constant. */
#ifndef PIPELINE_DEFINITION_H
#define PIPELINE_DEFINITION_H

#include <strid/pipeline.h>

enum {
    DEFINITION_STORES_MAX = 120,
    DEFINITION_FIELDS_MAX = 64,
    DEFINITION_NAME_MAX = 64,
    DEFINITION_RETRY_STEPS_MAX = 32
};

/* Of a store that keeps its entries though the pipeline has a TTL. */
#define DEFINITION_TTL_NEVER INT64_C(-1)
#define DEFINITION_TTL_MAX_MS (INT64_C(36525) * 24 * 60 * 60 * 1000)

/* A connector as configured. `url` has no secrets; `target` is what stands between scheme and
 * query. */
struct source_definition {
    const strid_source_ops *ops;
    char *url;
    char *target;
    void *options; /* ops->options_size bytes, filled from URL query and file; strings in it belong
                      to the definition */
};

struct sink_definition {
    const strid_sink_ops *ops;
    char *name; /* what handlers emit to; the dead-letter queue is called "dlq" and is no target of
                   strid_emit */
    char *url;
    char *target;
    void *options;
};

enum decode_format { DECODE_RAW = 0, DECODE_JSONL, DECODE_TEXT };
/* What becomes of records that no handler wants: counted and passed over, or dead-lettered. */
enum definition_unrouted { DEFINITION_UNROUTED_SKIP = 0, DEFINITION_UNROUTED_DLQ };
/* When a handler runs too long: its attempt failed once it returns, or the process ends. */
enum definition_on_timeout { DEFINITION_ON_TIMEOUT_RETRY = 0, DEFINITION_ON_TIMEOUT_ABORT };
enum decode_unmatched { DECODE_UNMATCHED_DLQ = 0, DECODE_UNMATCHED_SKIP };

/* How key, type and fields are found in a record's value. */
struct decode_definition {
    enum decode_format format;
    char *key;     /* field name; NULL: the record's own key */
    char *type;    /* field name; NULL: "type"; a record without it has an empty type */
    char *pattern; /* TEXT: PCRE2 with named groups, or NULL */
    enum decode_unmatched unmatched;
    char *fields[DEFINITION_FIELDS_MAX]; /* declared fields, in order */
    uint32_t field_count;
};

struct route_definition {
    char *type_glob;
    char *name; /* for messages: "count orders", "handler 3" */
    strid_handler handler;
    int64_t timeout_ms; /* of a call; 0: none; negative: the definition's */
    void *user;
    void (*destroy_user)(void *user); /* NULL: the host's */
};

/* What becomes of records whose handlers ask for another attempt. */
struct retry_definition {
    int64_t min_ms, max_ms; /* exponential, with jitter, between these */
    uint32_t step_count;    /* or so many fixed pauses */
    int64_t steps_ms[DEFINITION_RETRY_STEPS_MAX];
    uint64_t max_parked;       /* records of a partition that wait or are parked */
    uint64_t max_parked_bytes; /* and their bytes; beyond, it is not read */
    strid_ordering ordering;   /* never DEFAULT */
    strid_retry_hook hook;     /* NULL: none */
    void *hook_user;
};

struct definition {
    char *name;
    struct source_definition source;
    struct decode_definition decode;
    char *state_url;
    char *stores[DEFINITION_STORES_MAX + 1];         /* index = strid_store; [0] unused */
    int64_t store_ttl_ms[DEFINITION_STORES_MAX + 1]; /* by strid_store; 0: ttl_ms; or NEVER */
    bool store_ordered[DEFINITION_STORES_MAX + 1];   /* by strid_store: it has subkeys */
    uint32_t store_count;
    int64_t ttl_ms;              /* of stores without their own; 0: entries stay */
    strid_durability durability; /* never DEFAULT */
    struct route_definition *routes;
    uint32_t route_count;
    struct sink_definition *sinks;
    uint32_t sink_count;
    char *dlq_url; /* NULL: the source's default */
    uint32_t max_attempts;
    struct retry_definition retry;
    enum definition_unrouted unrouted;
    enum definition_on_timeout on_timeout;
    int64_t timeout_ms;    /* of a handler's call; 0: none */
    uint32_t workers;      /* 0: one per core */
    uint64_t memory_bytes; /* 0: default */
    int64_t watchdog_ms;   /* a handler that runs longer is reported; default 30 s */
    int64_t drain_timeout_ms;
};

struct definition *definition_create(const char *name, strid_error *err);
void definition_destroy(struct definition *definition);

/* All copy their strings. */
strid_status definition_set_source(struct definition *definition, const char *url,
                                   strid_error *err);
strid_status definition_add_store(struct definition *definition, const char *name,
                                  strid_store *store, strid_error *err);
/* STRID_ECONFIG: 0 < min <= max <= a day does not hold. 0 leaves one as it is. */
strid_status definition_set_backoff(struct definition *definition, int64_t min_ms, int64_t max_ms,
                                    strid_error *err);
/* STRID_ECONFIG: too many, or one that is negative or beyond a day. */
strid_status definition_set_backoff_steps(struct definition *definition, const int64_t *steps_ms,
                                          size_t count, strid_error *err);

/* Texts of records may be numbers, since their format or their source knows no other. Source and
 * format are set. */
bool definition_has_text_numbers(const struct definition *definition);

/* STRID_ECONFIG: negative, or beyond 100 years. */
strid_status definition_set_ttl(struct definition *definition, strid_store store, int64_t ttl_ms,
                                strid_error *err);
strid_status definition_add_sink(struct definition *definition, const char *name, const char *url,
                                 strid_error *err);
strid_status definition_add_field(struct definition *definition, const char *name, uint32_t *index,
                                  strid_error *err);
strid_status definition_add_route(struct definition *definition, const char *type_glob,
                                  const char *name, strid_handler handler, void *user,
                                  void (*destroy_user)(void *), strid_error *err);

/* STRID_ECONFIG: it begins as a JSON Pointer and is none (RFC 6901), so no record could have it. */
strid_status definition_check_pointer(const char *name, strid_error *err);

/* How values are decoded; absent arguments: "jsonl", the record's own key, "type". The pattern is
 * compiled here, so that a bad one is refused where it was given. */
strid_status definition_set_decode(struct definition *definition, const char *format,
                                   const char *key, const char *type, strid_error *err);
strid_status definition_set_pattern(struct definition *definition, const char *pattern,
                                    enum decode_unmatched unmatched, strid_error *err);

/* STRID_ECONFIG: no connector that could work like that. Opens nothing. */
strid_status definition_set_dlq(struct definition *definition, const char *url, strid_error *err);

/* STRID_ECONFIG: no store of that scheme. */
strid_status definition_set_state(struct definition *definition, const char *url, strid_error *err);

/* A source or sink whose options did not only come from a URL. */
struct endpoint;
strid_status definition_take_source(struct definition *definition, struct endpoint *endpoint,
                                    strid_error *err);
strid_status definition_take_sink(struct definition *definition, const char *name,
                                  struct endpoint *endpoint, strid_error *err);

/* A sink that is no part of a definition, such as the dead-letter queue once its URL is known. */
strid_status definition_make_sink(const char *name, const char *url, struct sink_definition *out,
                                  strid_error *err);
void definition_free_sink(struct sink_definition *sink);

/* State belongs to its key's worker: only one worker has all keys of a partition. STRID_ECONFIG */
strid_status definition_check_ordering(const struct definition *definition, strid_error *err);

/* Checks what can only be seen when all is there (names resolve, pattern compiles, key given where
 * needed). */
strid_status definition_check(const struct definition *definition, strid_error *err);

/* The section `retry` of a pipeline file; `node` NULL: it has none. */
struct yaml_file;
struct yaml_node;
strid_status definition_load_retry(struct definition *definition, const struct yaml_file *file,
                                   const struct yaml_node *node, strid_error *err);

/* Reads a pipeline file (DESIGN section 9). Messages begin with file:line:column. */
strid_status definition_load(const char *path, struct definition **out, strid_error *err);

#endif
