/* A pipeline: a source, handlers chosen by record type, per-key state, sinks.
 *
 * Thread safety of the handle: one thread creates, configures, runs and destroys it;
 * strid_pipeline_stop(), _stats(), strid_push() and strid_take() may be called from any thread
 * between creation and destruction. */
#ifndef STRID_PIPELINE_H
#define STRID_PIPELINE_H

#include <strid/error.h>
#include <strid/handler.h>
#include <strid/sink.h>
#include <strid/source.h>

STRID_BEGIN_DECLS

typedef struct strid_pipeline strid_pipeline;

typedef enum strid_log_level {
    STRID_LOG_DEBUG = 0,
    STRID_LOG_INFO,
    STRID_LOG_WARN,
    STRID_LOG_ERROR
} strid_log_level;

/* Called from any thread, one call at a time. `message` is one line. */
typedef void (*strid_log_fn)(void *user, strid_log_level level, const char *logger,
                             const char *message);

/* When state is synced to disk; what a crash of the machine can take follows from it. The source is
 * told of progress only after a sync in all of them (docs/guarantees.md). */
typedef enum strid_durability {
    STRID_DURABILITY_DEFAULT = 0, /* the pipeline file's, or durable */
    STRID_DURABILITY_DURABLE,     /* many blocks a sync, while workers go on */
    STRID_DURABILITY_STRICT,      /* a worker goes on when what it handled is synced */
    STRID_DURABILITY_REPLAY       /* rarely: the source replays what was not synced */
} strid_durability;

/* What becomes of records whose type no handler wants. */
typedef enum strid_unrouted {
    STRID_UNROUTED_DEFAULT = 0, /* the pipeline file's, or skip */
    STRID_UNROUTED_SKIP,        /* counted and passed over */
    STRID_UNROUTED_DLQ          /* dead-lettered */
} strid_unrouted;

/* What happens when a handler runs longer than its time-out. It cannot be stopped. */
typedef enum strid_on_timeout {
    STRID_ON_TIMEOUT_DEFAULT = 0, /* the pipeline file's, or retry */
    STRID_ON_TIMEOUT_RETRY,       /* once it returns its changes are dropped: a failed attempt */
    STRID_ON_TIMEOUT_ABORT        /* the process ends at once, by abort() */
} strid_on_timeout;

/* What may pass a record that waits for its next attempt (docs/failure.md). */
typedef enum strid_ordering {
    STRID_ORDERING_DEFAULT = 0, /* the pipeline file's, or by key */
    STRID_ORDERING_KEY,         /* records of other keys; those of its own are parked behind it */
    STRID_ORDERING_PARTITION,   /* records of other partitions; needs one worker */
    STRID_ORDERING_NONE         /* every other record */
} strid_ordering;

/* Grows at its end: a program that was built with an older header hands over a smaller one. */
typedef struct strid_pipeline_options {
    uint32_t struct_size;
    const char *name;      /* required; [A-Za-z0-9_-]{1,64} */
    const char *source;    /* URL, required */
    const char *state;     /* URL; NULL: "memory:", which lives as long as the pipeline */
    const char *format;    /* NULL: the source's default */
    const char *key;       /* field that is the key; NULL: the record's own key */
    const char *type;      /* field that is the type; NULL: "type" */
    const char *dlq;       /* URL of the dead-letter queue, checked; NULL: the source's default */
    uint32_t workers;      /* 0: one per core */
    uint32_t max_attempts; /* 0: 3 */
    uint64_t memory_bytes; /* 0: a quarter of the machine, at least 256 MiB */
    strid_log_fn log;      /* NULL: silent */
    void *log_user;
    strid_durability durability;
    int64_t timeout_ms; /* of a handler's call; 0: the pipeline file's, or none */
    strid_on_timeout on_timeout;
    strid_unrouted unrouted;
    strid_ordering ordering;
    int64_t retry_min_ms;          /* pauses between attempts, exponential with jitter; 0: 100 */
    int64_t retry_max_ms;          /* 0: 30,000 */
    const int64_t *retry_steps_ms; /* or fixed pauses, the last of which goes on; copied */
    size_t retry_step_count;       /* at most 32; 0: exponential */
    uint64_t max_parked;           /* of a partition, waiting ones included; 0: 100,000 */
    uint64_t max_parked_bytes;     /* 0: 256 MiB */
} strid_pipeline_options;

#define STRID_PIPELINE_OPTIONS_INIT .struct_size = sizeof(strid_pipeline_options)

/**
 * @brief Makes a pipeline. Nothing is opened or started.
 * @param[out] err why not; may be NULL.
 * @return NULL on failure: STRID_ECONFIG for bad options. Ownership: the caller, until
 * strid_pipeline_destroy().
 */
STRID_API strid_pipeline *strid_pipeline_create(const strid_pipeline_options *options,
                                                strid_error *err);

/**
 * @brief Makes a pipeline from a pipeline file (docs/configuration.md). Nothing is opened or
 * started.
 * @param overrides options whose non-zero members win over the file's (`log` in particular); may be
 * NULL.
 * @return NULL on failure: STRID_ECONFIG with file:line:column in the message, STRID_EIO if it
 * cannot be read.
 */
STRID_API strid_pipeline *strid_pipeline_load(const char *path,
                                              const strid_pipeline_options *overrides,
                                              strid_error *err);

/**
 * @brief Declares a store before the pipeline runs. The same name gives the same store.
 * @param name [A-Za-z0-9_-]{1,64}.
 * @param[out] store for the strid_state_ calls.
 */
STRID_API STRID_NODISCARD strid_status strid_pipeline_add_store(strid_pipeline *pipeline,
                                                                const char *name,
                                                                strid_store *store,
                                                                strid_error *err);

typedef struct strid_store_options {
    uint32_t struct_size;
    int64_t ttl_ms; /* an entry is gone so long after its last write; 0: the pipeline's, or never */
    bool ordered;   /* its keys have subkeys: strid_state_put_sub(), strid_state_scan() */
} strid_store_options;

#define STRID_STORE_OPTIONS_INIT .struct_size = sizeof(strid_store_options)

/**
 * @brief Declares a store as strid_pipeline_add_store() does, and sets its options; for a store
 * that is declared already, those of the last call count.
 * @retval STRID_ECONFIG a bad name, a negative `ttl_ms` or one beyond 100 years.
 */
STRID_API STRID_NODISCARD strid_status strid_pipeline_add_store_with(
    strid_pipeline *pipeline, const char *name, const strid_store_options *options,
    strid_store *store, strid_error *err);

/** @brief Declares a sink that handlers reach by `name` (strid_emit). */
STRID_API STRID_NODISCARD strid_status strid_pipeline_add_sink(strid_pipeline *pipeline,
                                                               const char *name, const char *url,
                                                               strid_error *err);

/**
 * @brief Declares a field that the reader extracts from every value; it is record->fields[*index].
 * Declaring a name twice gives the same index.
 */
STRID_API STRID_NODISCARD strid_status strid_pipeline_add_field(strid_pipeline *pipeline,
                                                                const char *name, uint32_t *index,
                                                                strid_error *err);

/**
 * @brief Registers a handler for the types that `type_glob` matches ("*", "click.*", "order");
 * several may match one record, they are called in the order of registration.
 * @param handler called as handler.h says. @param user handed to it; has to live until the pipeline
 * is destroyed.
 */
STRID_API STRID_NODISCARD strid_status strid_pipeline_on(strid_pipeline *pipeline,
                                                         const char *type_glob,
                                                         strid_handler handler, void *user,
                                                         strid_error *err);

/**
 * Called instead of making a record whose handlers asked for another attempt wait. True: the host
 * has taken it over; it counts as handled, without changes or outputs, and is not tried again here.
 * False: it waits as without a hook.
 * @param record valid until it returns. @param attempts that failed. @param reason may be "".
 * Thread safety: called by several workers at once, by one at a time for each key.
 */
typedef bool (*strid_retry_hook)(void *user, const strid_record *record, uint32_t attempts,
                                 const char *reason);

/** @brief Sets the hook for retries, NULL removes it; before the pipeline runs. The last attempt
 * (`max_attempts`) is dead-lettered without it. */
STRID_API void strid_pipeline_set_retry_hook(strid_pipeline *pipeline, strid_retry_hook hook,
                                             void *user);

/**
 * @brief Runs until a bounded source has ended and no record waits for another attempt,
 * strid_pipeline_stop() is called or something fails for good. Called again it goes on where the
 * last run ended.
 * @retval STRID_OK ended or drained; all that was handled is durable. @retval STRID_ECANCELLED
 * stopped at once. @retval STRID_EINVAL it runs already.
 */
STRID_API STRID_NODISCARD strid_status strid_pipeline_run(strid_pipeline *pipeline,
                                                          strid_error *err);

/**
 * @brief Asks a run to end: reading stops, what was read is handled and made durable. A second call
 * stops at once. Thread safety: any thread, and signal handlers.
 */
STRID_API void strid_pipeline_stop(strid_pipeline *pipeline);

typedef struct strid_pipeline_stats {
    uint32_t struct_size;
    uint64_t
        records; /* read in this run and handled, those skipped as applied before not counted */
    uint64_t done;
    uint64_t skipped;  /* by a handler */
    uint64_t unrouted; /* no handler wanted them */
    uint64_t retried;  /* further attempts made */
    uint64_t dead_lettered;
    uint64_t replayed; /* read again after a restart, already applied */
    uint64_t outputs;
    uint64_t bytes_read;  /* position within bounded sources, summed over the partitions */
    uint64_t bytes_total; /* UINT64_MAX: unknown */
    uint64_t elapsed_ms;  /* of this run */
    uint64_t syncs;       /* of the state store */
    uint64_t blocks;      /* written */
    uint64_t redo_bytes;  /* in blocks not yet materialised */
    uint64_t cache_hits;
    uint64_t cache_misses;
    uint64_t restarts;       /* after store errors */
    uint64_t backpressure;   /* polls that were put off for want of credit */
    uint64_t timed_out;      /* calls of handlers that ran longer than their time-out */
    uint64_t level0_files;   /* sorted files that still overlap, when last looked at */
    uint64_t outbox_entries; /* dead letters that the dead-letter queue has not taken yet */
    uint64_t outbox_bytes;
    uint64_t handed_over;  /* to the retry hook */
    uint64_t waiting;      /* records that wait for another attempt now */
    uint64_t parked;       /* records that are parked behind them now */
    uint64_t parked_bytes; /* of both */
} strid_pipeline_stats;

/* What a pipeline was made of. Texts live as long as the pipeline. */
typedef struct strid_pipeline_info {
    uint32_t struct_size; /* set by the caller: so much is filled in */
    const char *name;
    const char *source; /* its URL without secrets */
    const char *state;  /* URL of its state directory; NULL: it keeps none */
    uint32_t handlers;  /* how many: of its file, and registered */
    bool is_pushed;     /* its records come by strid_push() and from nowhere else */
    const char *taken;  /* name of a sink whose outputs only strid_take() gets; NULL: none */
} strid_pipeline_info;

/** @brief Tells what the pipeline was made of. Thread safety: any thread. */
STRID_API void strid_pipeline_get_info(const strid_pipeline *pipeline, strid_pipeline_info *info);

/** @brief Figures of the current or last run; a snapshot, not exact while running. Thread safety:
 * any thread. */
STRID_API void strid_pipeline_get_stats(const strid_pipeline *pipeline,
                                        strid_pipeline_stats *stats);

/**
 * @brief Pushes a record into a memory: source; the bytes are copied.
 * @retval STRID_AGAIN back-pressure: try again later. @retval STRID_EUNSUPPORTED the source cannot
 * be pushed to. Thread safety: any thread.
 */
STRID_API STRID_NODISCARD strid_status strid_push(strid_pipeline *pipeline, uint32_t partition,
                                                  strid_bytes key, strid_bytes value,
                                                  int64_t timestamp_ms);

/** @brief Ends a memory: source: a run ends when all that was pushed is handled. Thread safety: any
 * thread. */
STRID_API void strid_push_end(strid_pipeline *pipeline);

/**
 * @brief Takes the oldest output that was delivered to the memory: sink called `sink`.
 * @param[out] out lives until the next call for that sink. @retval STRID_AGAIN nothing there.
 * Thread safety: any thread, one at a time per sink.
 */
STRID_API STRID_NODISCARD strid_status strid_take(strid_pipeline *pipeline, const char *sink,
                                                  strid_output *out);

/* What a thread completes deferred outcomes with: each thread has its own. */
typedef struct strid_completer strid_completer;

/**
 * @brief Registers a thread that completes deferred outcomes; at most 64 at a time.
 * @return NULL: STRID_ELIMIT. Ownership: the caller, until strid_completer_destroy(), which has to
 * come before strid_pipeline_destroy(). Thread safety: any thread.
 */
STRID_API strid_completer *strid_completer_create(strid_pipeline *pipeline, strid_error *err);

/**
 * @brief Says the outcome of a record that a handler deferred (strid_defer()).
 * @param outcome STRID_DONE, _SKIP, _RETRY or _REJECT.
 * @retval STRID_OK it counts. @retval STRID_ESTALE it came too late: the record was completed
 * before, timed out, was withdrawn, or its run has ended. @retval STRID_EINVAL no outcome, or no
 * token. Thread safety: one thread at a time for each completer; different completers at once.
 */
STRID_API STRID_NODISCARD strid_status strid_complete(strid_completer *completer, strid_token token,
                                                      strid_outcome outcome);

/** @brief Gives a completer back; NULL is allowed. What it completed still counts. Thread safety:
 * any thread, while none completes with it. */
STRID_API void strid_completer_destroy(strid_completer *completer);

/** @brief Releases a pipeline that does not run. NULL is allowed. */
STRID_API void strid_pipeline_destroy(strid_pipeline *pipeline);

STRID_END_DECLS

#endif
