#include "redis_claim.h"

#include "base/clock.h"

#include "redis_command.h"
#include "redis_id.h"
#include "redis_reply.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>

#define COMPONENT "redis"

enum {
    CLAIM_PAGE = 100, /* entries; the server looks at ten times as many */
    REFRESH_PAGE = 1000,
    CLAIMS_PER_IDLE = 4, /* so that an entry waits for a quarter of claim_idle more at most */
    REFRESHES_PER_IDLE = 3
};

static const int64_t ns_per_ms = 1000000, claim_longest_ns = INT64_C(10000000000);

static int64_t interval_ns(const struct redis_stream *stream, int64_t per_idle)
{
    int64_t interval = stream->options->claim_idle_ms * ns_per_ms / per_idle;
    return interval > claim_longest_ns ? claim_longest_ns : interval;
}

void redis_claim_restart(struct redis_stream *stream)
{
    int64_t now = clock_monotonic_ns(&clock_system);
    stream->timers.claim_ns = now;
    stream->timers.refresh_ns = now + interval_ns(stream, REFRESHES_PER_IDLE);
    stream->timers.claiming = stream->timers.refreshing = false;
    stream->timers.claim_from = stream->timers.refresh_from = (strid_position){0, 0};
}

static void put_claim(struct redis_stream *stream)
{
    struct buffer *out = &stream->connection.out;
    stream->timers.claiming = true;
    redis_stream_expect(stream, REDIS_EXPECTED_CLAIM, 0);
    redis_stream_command(stream, 8, "XAUTOCLAIM");
    redis_command_text(out, stream->consumer);
    redis_command_number(out, (uint64_t)stream->options->claim_idle_ms);
    redis_stream_put_id(stream, stream->timers.claim_from);
    redis_command_text(out, "COUNT");
    redis_command_number(out, CLAIM_PAGE);
}

/* Own entries that are idle for a third of the time after which others would claim them. */
static void put_pending(struct redis_stream *stream)
{
    struct buffer *out = &stream->connection.out;
    stream->timers.refreshing = true;
    redis_stream_expect(stream, REDIS_EXPECTED_PENDING, 0);
    redis_stream_command(stream, 9, "XPENDING");
    redis_command_text(out, "IDLE");
    redis_command_number(out, (uint64_t)(stream->options->claim_idle_ms / REFRESHES_PER_IDLE));
    redis_stream_put_id(stream, stream->timers.refresh_from);
    redis_command_text(out, "+");
    redis_command_number(out, REFRESH_PAGE);
    redis_command_text(out, stream->consumer);
}

void redis_claim_plan(struct redis_stream *stream, int64_t now_ns)
{
    if (stream->options->claim_idle_ms == 0 || stream->is_history || stream->is_ending)
        return;
    if (!stream->timers.claiming && now_ns >= stream->timers.claim_ns &&
        redis_stream_has_room(stream))
        put_claim(stream);
    if (!stream->timers.refreshing && now_ns >= stream->timers.refresh_ns &&
        redis_stream_has_room(stream))
        put_pending(stream);
}

int64_t redis_claim_wait_ms(const struct redis_stream *stream, int64_t now_ns)
{
    if (stream->options->claim_idle_ms == 0)
        return INT64_MAX;
    int64_t due = stream->timers.claim_ns < stream->timers.refresh_ns ? stream->timers.claim_ns
                                                                      : stream->timers.refresh_ns;
    return due <= now_ns ? 0 : (due - now_ns) / ns_per_ms + 1;
}

static bool is_zero(strid_position id) { return id.high == 0 && id.low == 0; }

void redis_claim_take_page(struct redis_stream *stream)
{
    const struct redis_entries *entries = &stream->entries;
    uint64_t gone = entries->deleted.len / sizeof(strid_position);
    stream->timers.claiming = false;
    stream->timers.claim_from = entries->cursor;
    if (is_zero(entries->cursor)) /* that was the last page; else the next one follows at once */
        stream->timers.claim_ns =
            clock_monotonic_ns(&clock_system) + interval_ns(stream, CLAIMS_PER_IDLE);
    stream->counts.claimed += entries->count;
    stream->counts.gone += gone;
    if (entries->count > 0)
        log_warn(stream->log, COMPONENT,
                 "stream %s: claimed %" PRIu32 " entries that another consumer held for more than "
                 "%" PRId64 " ms (%" PRIu64 " so far): what it applied without acknowledging is "
                 "applied again",
                 stream->name, entries->count, stream->options->claim_idle_ms,
                 stream->counts.claimed);
    if (gone > 0)
        log_error(stream->log, COMPONENT,
                  "stream %s: %" PRIu64 " pending entries had been deleted or trimmed before they "
                  "were handled (%" PRIu64 " so far); they are lost",
                  stream->name, gone, stream->counts.gone);
}

/* Only what is idle for as long even when the command arrives, so that nothing is taken back from
 * a consumer that has claimed it meanwhile. */
static void put_refresh(struct redis_stream *stream, const struct redisReply *reply)
{
    struct buffer *out = &stream->connection.out;
    uint32_t count = (uint32_t)reply->elements;
    redis_stream_expect(stream, REDIS_EXPECTED_REFRESH, 0);
    redis_stream_command(stream, 6 + count, "XCLAIM");
    redis_command_text(out, stream->consumer);
    redis_command_number(out, (uint64_t)(stream->options->claim_idle_ms / REFRESHES_PER_IDLE));
    for (uint32_t i = 0; i < count; i++)
        redis_command_word(out, redis_reply_bytes(reply->element[i]->element[0]));
    redis_command_text(out, "JUSTID");
}

void redis_claim_take_pending(struct redis_stream *stream, const struct redisReply *reply)
{
    strid_position last = {0, 0};
    bool is_sound = reply->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; is_sound && i < reply->elements; i++)
        is_sound = reply->element[i]->type == REDIS_REPLY_ARRAY &&
                   reply->element[i]->elements > 0 &&
                   redis_id_parse(redis_reply_bytes(reply->element[i]->element[0]), &last);
    stream->timers.refreshing = false;
    if (is_sound && reply->elements > 0 && redis_stream_has_room(stream))
        put_refresh(stream, reply);
    if (is_sound && reply->elements == REFRESH_PAGE) {
        stream->timers.refresh_from = redis_id_next(last);
        return;
    }
    stream->timers.refresh_from = (strid_position){0, 0};
    stream->timers.refresh_ns =
        clock_monotonic_ns(&clock_system) + interval_ns(stream, REFRESHES_PER_IDLE);
}
