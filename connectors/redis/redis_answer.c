#include "redis_answer.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"

#include "redis_ack.h"
#include "redis_claim.h"
#include "redis_delivery.h"
#include "redis_mark.h"
#include "redis_missing.h"
#include "redis_trim.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>

#define COMPONENT "redis"

static const char *const verbs[] = {
    [REDIS_EXPECTED_HISTORY] = "XREADGROUP",
    [REDIS_EXPECTED_NEW] = "XREADGROUP",
    [REDIS_EXPECTED_ACK] = "XACK",
    [REDIS_EXPECTED_ACK_GONE] = "XACK",
    [REDIS_EXPECTED_CANDIDATES] = "XPENDING",
    [REDIS_EXPECTED_CLAIM] = "XAUTOCLAIM",
    [REDIS_EXPECTED_COUNTS] = "XPENDING",
    [REDIS_EXPECTED_RESTORE] = "XCLAIM",
    [REDIS_EXPECTED_PENDING] = "XPENDING",
    [REDIS_EXPECTED_REFRESH] = "XCLAIM",
    [REDIS_EXPECTED_MISSING] = "XRANGE",
    [REDIS_EXPECTED_LOOK] = "XINFO CONSUMERS",
    [REDIS_EXPECTED_MARK] = "XGROUP CREATECONSUMER",
    [REDIS_EXPECTED_TRIM] = "trimming",
};

static void take_read(struct redis_stream *stream, const struct redis_expected *expected,
                      bool is_nil)
{
    uint32_t count = is_nil ? 0 : stream->entries.count;
    stream->reads--;
    stream->staged = expected->kind;
    if (count > 0)
        stream->entry_bytes = stream->entries.staged.len / count + 1;
    if (expected->kind == REDIS_EXPECTED_NEW) {
        stream->has_more = count >= expected->count;
        return;
    }
    stream->is_history = count > 0;
    stream->history_from = stream->entries.last;
}

/* The group, or the stream with it, is gone: the connection is made anew, and the group with it. */
static bool is_group_gone(enum redis_expected_kind kind, const struct redisReply *reply)
{
    if (kind == REDIS_EXPECTED_LOOK || kind == REDIS_EXPECTED_MARK)
        return redis_mark_has_no_group(reply);
    return redis_reply_is_error(reply, "NOGROUP") || redis_reply_is_error(reply, "UNBLOCKED");
}

static strid_status take_answer(struct redis_stream *stream, const struct redis_expected *expected,
                                const struct redisReply *reply, strid_error *err)
{
    strid_status status = STRID_OK;
    if (!redis_missing_is_refused(expected, reply))
        status = redis_reply_check(reply, verbs[expected->kind], err);
    if (status != STRID_OK)
        return status;
    if (stream->entries.is_broken)
        return error_set(err, STRID_EIO, COMPONENT, "an entry has an ID that is none");
    switch (expected->kind) {
    case REDIS_EXPECTED_HISTORY:
    case REDIS_EXPECTED_NEW:
        take_read(stream, expected, reply != &redis_reply_taken);
        break;
    case REDIS_EXPECTED_ACK:
        redis_ack_answered(stream, expected->count);
        break;
    case REDIS_EXPECTED_CLAIM:
        stream->staged = REDIS_EXPECTED_CLAIM;
        redis_claim_take_page(stream);
        break;
    case REDIS_EXPECTED_CANDIDATES:
        redis_claim_take_candidates(stream, reply);
        break;
    case REDIS_EXPECTED_COUNTS:
        redis_delivery_take(stream, reply);
        break;
    case REDIS_EXPECTED_PENDING:
        redis_claim_take_pending(stream, reply);
        break;
    case REDIS_EXPECTED_LOOK:
        redis_mark_take(stream, reply);
        break;
    case REDIS_EXPECTED_TRIM:
        redis_trim_take(stream, reply);
        break;
    case REDIS_EXPECTED_REFRESH:
        redis_missing_take_refreshed(stream, reply);
        break;
    case REDIS_EXPECTED_MISSING:
        redis_missing_take(stream, reply);
        break;
    case REDIS_EXPECTED_ACK_GONE:
    case REDIS_EXPECTED_RESTORE:
    case REDIS_EXPECTED_MARK:
        break;
    }
    return STRID_OK;
}

/* A connection that is half open never fails by itself: answers that stay away for the configured
 * time do. What moved was seen first, so a process that stood still does not count its own silence.
 */
static strid_status check_silence(struct redis_stream *stream, strid_error *err)
{
    const struct redis_connection *connection = &stream->connection;
    const int64_t now = clock_monotonic_ns(&clock_system);
    if (stream->quiet.moves != connection->moves) {
        stream->quiet.moves = connection->moves;
        stream->quiet.since_ns = now;
    }
    if (stream->expected_count == 0)
        stream->quiet.since_ns = now;
    if (now - stream->quiet.since_ns <= stream->options->server.timeout_ms * INT64_C(1000000))
        return STRID_AGAIN;
    strid_status status =
        error_set(err, STRID_EUNREACHABLE, COMPONENT, "%s has not answered for %" PRId64 " ms",
                  connection->address->shown, stream->options->server.timeout_ms);
    if (err != NULL)
        err->flags |= STRID_ERROR_RETRIABLE;
    return redis_connection_fail(&stream->connection, status, err);
}

strid_status redis_answer_take(struct redis_stream *stream, strid_error *err)
{
    struct redisReply *reply = NULL;
    const struct redis_expected *expected = &stream->expected[stream->expected_head];
    if (stream->expected_count > 0 && stream->entries.shape == REDIS_ENTRIES_NONE) {
        enum redis_entries_shape shape = REDIS_ENTRIES_NONE;
        if (expected->kind == REDIS_EXPECTED_CLAIM)
            shape = REDIS_ENTRIES_CLAIM;
        else if (expected->kind <= REDIS_EXPECTED_NEW)
            shape = REDIS_ENTRIES_READ;
        redis_entries_begin(&stream->entries, shape);
    }
    strid_status status = redis_connection_poll(&stream->connection, &reply, err);
    if (status == STRID_AGAIN)
        status = check_silence(stream, err);
    if (status != STRID_OK)
        return status;
    redis_entries_end(&stream->entries);
    STRID_ASSERT(stream->expected_count > 0);
    struct redis_expected answered = *expected;
    stream->expected_head = (stream->expected_head + 1) % REDIS_STREAM_EXPECTED;
    stream->expected_count--;
    if (is_group_gone(answered.kind, reply))
        redis_connection_close(&stream->connection);
    else
        status = take_answer(stream, &answered, reply, err);
    redis_reply_free(reply);
    if (status != STRID_OK)
        (void)redis_connection_fail(&stream->connection, status, err);
    return status;
}
