/* What the host program writes: handlers, and what they may do while they run. */
#ifndef STRID_HANDLER_H
#define STRID_HANDLER_H

#include <strid/record.h>
#include <strid/state.h>
#include <strid/status.h>

STRID_BEGIN_DECLS

/* Several handlers of one record share one write set and one outcome, the worst of theirs: a larger
 * number is worse. */
typedef enum strid_outcome {
    STRID_DONE = 0,    /* state writes and outputs take effect */
    STRID_SKIP = 1,    /* nothing takes effect; the record counts as handled */
    STRID_RETRY = 2,   /* nothing takes effect; the record is handled again, up to the limit, then
                          dead-lettered */
    STRID_REJECT = 3,  /* nothing takes effect; the record is dead-lettered at once */
    STRID_DEFERRED = 4 /* strid_defer() was called: strid_complete() says the outcome later */
} strid_outcome;

/* Names a record whose outcome is deferred. Copied freely; a zeroed one names none. */
typedef struct strid_token {
    uint32_t worker;
    uint32_t place;
    uint64_t generation;
} strid_token;

/**
 * A handler. Called in a worker thread, for one record at a time per key, in partition order of
 * that key; other workers call it at the same time with records of other keys.
 * @param record valid until the handler returns.
 * @param user   the pointer given at registration; shared by all workers.
 */
typedef strid_outcome (*strid_handler)(strid_context *ctx, const strid_record *record, void *user);

/**
 * @brief Sends an output to the sink called `sink`; all bytes are copied.
 * @param key may be absent.
 * @retval STRID_ENOTFOUND the pipeline has no sink of that name.
 * Thread safety: the calling handler only.
 */
STRID_API STRID_NODISCARD strid_status strid_emit(strid_context *ctx, const char *sink,
                                                  strid_bytes key, strid_bytes value);

/**
 * @brief Says why the record is retried or rejected; kept with its dead letter, also where the
 * outcome is deferred. The last reason given wins.
 * @param reason copied, cut to 200 bytes.
 * Thread safety: the calling handler only.
 */
STRID_API void strid_set_reason(strid_context *ctx, const char *reason);

/** @brief How often this record was handled before this call: 0 at first. Thread safety: the
 * calling handler only. */
STRID_API uint32_t strid_attempt(const strid_context *ctx);

/**
 * @brief Defers the outcome of the record in hand: the handler returns STRID_DEFERRED, and some
 * thread calls strid_complete() with the token, perhaps before the handler has returned.
 *
 * What the handlers wrote and emitted is kept, and takes effect when the outcome is STRID_DONE.
 * Until then later records of the key wait (those with ordering `none` do not), other keys run on.
 * The outcome of the record is the worst of the completion's and those of its other handlers; where
 * one of these already is STRID_RETRY or STRID_REJECT, it counts at once and the token is stale.
 * Returning anything but STRID_DEFERRED withdraws the token. Without a completion within the
 * handler's time-out the attempt has failed. After a restart of the node the record is handled
 * again: a token holds for one run.
 *
 * `record` and what it points to live until the handler returns: copy what is needed.
 * @return the token; within one call always the same.
 * Thread safety: the calling handler only.
 */
STRID_API strid_token strid_defer(strid_context *ctx);

STRID_END_DECLS

#endif
