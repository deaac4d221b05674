#include "redis_reads.h"

#include "redis_claim.h"
#include "redis_command.h"
#include "redis_delivery.h"

#include <inttypes.h>

#define COMPONENT "redis"

enum {
    READS_MAX = 4,       /* on the way at a time, while there is much to read */
    BLOCK_SHORT_MS = 20, /* while acknowledgements will have to be sent soon */
    ENTRY_BYTES_GUESS = 8192
};

static const int64_t full_told_ns = INT64_C(5000000000), ns_per_ms = 1000000;

/* As many as are configured, fewer where they are large. */
static uint32_t entries_wanted(const struct redis_stream *stream)
{
    const uint64_t each = stream->entry_bytes == 0 ? ENTRY_BYTES_GUESS : stream->entry_bytes;
    const uint64_t fit = stream->share.reply_bytes / each, most = (uint64_t)stream->options->count;
    return (uint32_t)(fit == 0 ? 1 : fit < most ? fit : most);
}

/* block_ms 0: the server answers at once. */
static void put_read(struct redis_stream *stream, int64_t block_ms)
{
    struct buffer *out = &stream->connection.out;
    const uint32_t wanted = entries_wanted(stream);
    redis_stream_expect(stream, stream->is_history ? REDIS_EXPECTED_HISTORY : REDIS_EXPECTED_NEW,
                        wanted);
    stream->reads++;
    redis_command_begin(out, block_ms > 0 ? 11 : 9);
    redis_command_text(out, "XREADGROUP");
    redis_command_text(out, "GROUP");
    redis_command_text(out, stream->options->group);
    redis_command_text(out, stream->consumer);
    redis_command_text(out, "COUNT");
    redis_command_number(out, wanted);
    if (block_ms > 0) {
        redis_command_text(out, "BLOCK");
        redis_command_number(out, (uint64_t)block_ms);
    }
    redis_command_text(out, "STREAMS");
    redis_command_text(out, stream->name);
    if (stream->is_history)
        redis_stream_put_id(stream, stream->history_from);
    else
        redis_command_text(out, ">");
}

/* Since the engine was given an entry, or an acknowledgement was answered. */
static int64_t rest_ms(struct redis_stream *stream, int64_t now_ns)
{
    const uint64_t moves = stream->in_hand + stream->answered;
    if (stream->rest.moves != moves) {
        stream->rest.moves = moves;
        stream->rest.since_ns = now_ns;
    }
    return (now_ns - stream->rest.since_ns) / ns_per_ms;
}

/* How long the server may hold a read while this connection can send nothing else. What is not
 * acknowledged may soon be, or waits for hours to be tried again: an acknowledgement waits behind
 * a read for no longer than it took to come, and a stream at rest is asked for ever less often. */
static int64_t block_ms(const struct redis_stream *stream, int64_t rest_ms, int64_t now_ns)
{
    int64_t longest = redis_claim_wait_ms(stream, now_ns);
    const int64_t held = rest_ms > BLOCK_SHORT_MS ? rest_ms : BLOCK_SHORT_MS;
    if (stream->acks_sent_at < stream->acks.len)
        return 0;
    if (redis_stream_unacknowledged(stream) > 0 && longest > held)
        longest = held;
    return longest < stream->options->block_ms ? longest : stream->options->block_ms;
}

/* For a moment that is usual; for longer the entries wait in the engine. */
static void tell_full(struct redis_stream *stream, int64_t now_ns)
{
    if (redis_stream_has_credit(stream)) {
        stream->full.since_ns = 0;
        stream->full.is_told = false;
        return;
    }
    if (stream->full.since_ns == 0)
        stream->full.since_ns = now_ns;
    if (stream->full.is_told || now_ns - stream->full.since_ns < full_told_ns)
        return;
    stream->full.is_told = true;
    log_warn(stream->log, COMPONENT,
             "stream %s: %" PRIu64 " entries are not acknowledged, those that wait or are parked "
             "included, and \"memory\" leaves room for no more: nothing is read until some are "
             "settled, and nothing is lost",
             stream->name, redis_stream_unacknowledged(stream));
}

/* Another read beside those under way, which may bring as much as they ask for. */
static bool may_read(const struct redis_stream *stream)
{
    const uint64_t asked = stream->reads * (uint64_t)entries_wanted(stream);
    return redis_stream_has_room(stream) && redis_stream_has_credit(stream) &&
           (asked == 0 ||
            redis_stream_unacknowledged(stream) + asked < stream->share.unacknowledged);
}

void redis_reads_plan(struct redis_stream *stream, int64_t now_ns)
{
    const uint32_t most = stream->has_more && !stream->is_history ? READS_MAX : 1;
    const int64_t rest = rest_ms(stream, now_ns);
    while (stream->reads < most && may_read(stream)) {
        if (stream->is_history && !redis_delivery_plan(stream, entries_wanted(stream)))
            break;
        put_read(stream, most > 1 || stream->is_history ? 0 : block_ms(stream, rest, now_ns));
    }
    tell_full(stream, now_ns);
}
