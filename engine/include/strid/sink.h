/* The sink contract: what a connector implements to be written to. */
#ifndef STRID_SINK_H
#define STRID_SINK_H

#include <strid/config.h>
#include <strid/error.h>
#include <strid/record.h>

#define STRID_SINK_ABI_VERSION 1u

#define STRID_SINK_PATH 1u /* the URL's target is a path of the file system */

struct strid_dlq_purged; /* strid/inspect.h */

typedef struct strid_sink
    strid_sink; /* the connector's own struct of ops->instance_size bytes, zeroed at first */

/* Header of a record that was a dead letter and was handed back: how often, in decimal digits. A
 * dead letter of such a record has another id than the one before. */
#define STRID_HEADER_REPLAYS "strid-replays"

/* Provenance of a dead letter. */
typedef struct strid_dead_letter {
    const char *source; /* as configured, without secrets */
    strid_bytes topic;  /* the original one */
    uint32_t partition;
    strid_position position;
    strid_bytes reason; /* "not_json", "key_missing", "rejected: ..." */
    strid_bytes type;
    int64_t first_failure_ms;
    int64_t last_failure_ms;
    uint32_t attempts; /* how often a handler was called with it */
    const char *pipeline;
    const char *node;
    bool replayed;           /* it was handed back (strid_dlq_list() of a node that does not run) */
    strid_bytes fingerprint; /* of its partition, as the source gave it; may be empty */
    bool stays; /* strid_dlq_replay(): it cannot be handed back, also where it is chosen */
} strid_dead_letter;

/* One output. Everything lives until write returns. */
typedef struct strid_output {
    strid_bytes id; /* pipeline/topic/partition/position/n: the same when it is delivered again */
    strid_bytes key;
    strid_bytes value;
    int64_t timestamp_ms;
    const strid_header *headers;
    uint32_t header_count;
    const strid_dead_letter
        *dead_letter; /* NULL: an ordinary output; else key, value, headers are the original's */
} strid_output;

/* Told of a record that was not taken, by the number it was sent with. `why` lives for the call;
 * STRID_EUNREACHABLE: nobody answered for it, so it may have arrived. */
typedef void (*strid_refused_fn)(void *user, uint64_t number, const strid_error *why);

/* Writing for producers (strid/producer.h): one record that is refused does not hold up the others.
 * Thread: the producer's, for all; `refused` is called within them. */
typedef struct strid_produce_ops {
    size_t instance_size;

    /** As the sink's open. `refused` and `user` live until close. */
    strid_status (*open)(strid_sink *self, const strid_connector_args *args,
                         strid_refused_fn refused, void *user, strid_error *err);

    /** Takes a copy. May block: yes, where too much is under way. On error: what was sent since the
     * last settle that succeeded may have arrived or not. */
    strid_status (*send)(strid_sink *self, const strid_output *output, uint64_t number,
                         strid_error *err);

    /** Waits until each record that was sent is durable where it went, or was refused. On error: as
     * send. */
    strid_status (*settle)(strid_sink *self, strid_error *err);

    void (*close)(strid_sink *self);
} strid_produce_ops;

typedef struct strid_sink_ops {
    uint32_t abi_version; /* STRID_SINK_ABI_VERSION */
    uint32_t flags;       /* STRID_SINK_* */
    const char *name;     /* the URL's scheme */
    const char *summary;
    const strid_option *options;
    size_t options_size;
    size_t instance_size;

    /** Thread: control. May block: yes. On error: nothing is left open, close is not called. */
    strid_status (*open)(strid_sink *self, const strid_connector_args *args, strid_error *err);

    /** Thread: delivery. May block: yes. Takes all of `count` outputs in order, or fails. After an
     * error of write or flush nothing since the last flush that succeeded counts: it is offered
     * again, in the same order. */
    strid_status (*write)(strid_sink *self, const strid_output *outputs, uint32_t count,
                          strid_error *err);

    /** Thread: delivery. May block: yes. STRID_OK: everything written is durable where it went. */
    strid_status (*flush)(strid_sink *self, strid_error *err);

    /** Thread: control. May block: yes. Deliveries have ended. What was not flushed may be lost. */
    void (*close)(strid_sink *self);

    /** Host programs take what was flushed (memory:), oldest first. Any thread; what `out` points
     * to lives until the next take. STRID_AGAIN: nothing there. NULL: not supported. */
    strid_status (*take)(strid_sink *self, strid_output *out);

    /** Lists the dead letters that stand where `args` points to, oldest first, for tools; needs no
     * open sink. Any thread. May block: yes. `fn` returns false to end it. STRID_OK where there are
     * none yet. NULL: not supported. */
    strid_status (*browse)(const strid_connector_args *args,
                           bool (*fn)(void *user, const strid_output *letter), void *user,
                           strid_error *err);

    /** Takes out dead letters that stand where `args` points to, for tools; needs no open sink. Any
     * thread. May block: yes. `fn` returns true for those that go. `result` comes as zeroes; what
     * is kept is counted there. On error each letter is there or gone, as before. STRID_EBUSY: they
     * are being written to. NULL: not supported. */
    strid_status (*purge)(const strid_connector_args *args,
                          bool (*fn)(void *user, const strid_output *letter), void *user,
                          struct strid_dlq_purged *result, strid_error *err);

    /** How producers write. NULL: by write and flush. */
    const strid_produce_ops *produce;

    /** Which dead letters of the last flush, which succeeded, were not added since their records
     * are another node's by now: numbers in the order of writing, from 0, rising; they live until
     * the next write. Such a record is not acknowledged, and is a new one where it comes again.
     * Thread: delivery. May block: no. NULL: none ever. */
    const uint32_t *(*declined)(strid_sink *self, uint32_t *count);

    /** As a source's check. */
    strid_status (*check)(const strid_connector_args *args, strid_error *err);
} strid_sink_ops;

#endif
