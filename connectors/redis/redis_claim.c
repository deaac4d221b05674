#include "redis_claim.h"

#include "base/clock.h"

#include "redis_command.h"
#include "redis_delivery.h"
#include "redis_id.h"
#include "redis_missing.h"
#include "redis_reply.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>

#define COMPONENT "redis"

enum {
    CLAIM_PAGE = 100, /* entries; the server looks at ten times as many */
    ALONE_FROM = 2,   /* deliveries; what was in hand with it the second time is told from it */
    REFRESH_PAGE = 1000,
    CLAIMS_PER_IDLE = 4, /* so that an entry waits for a quarter of claim_idle more at most */
    REFRESHES_PER_IDLE = 3,
    LATE_PARTS = 4 /* of the time between two refreshes: a refresh that is later than one is late */
};

static const int64_t ns_per_ms = 1000000, claim_longest_ns = INT64_C(10000000000),
                     alone_least_ns = INT64_C(10000000000);

static int64_t interval_ns(const struct redis_stream *stream, int64_t per_idle)
{
    int64_t interval = stream->options->claim_idle_ms * ns_per_ms / per_idle;
    return interval > claim_longest_ns ? claim_longest_ns : interval;
}

void redis_claim_restart(struct redis_stream *stream)
{
    int64_t now = clock_monotonic_ns(&clock_system);
    stream->delivery.is_claim_unknown |= stream->claim.is_asked;
    stream->timers.claim_ns = now;
    stream->timers.refresh_ns = now + interval_ns(stream, REFRESHES_PER_IDLE);
    stream->timers.claiming = stream->timers.refreshing = false;
    stream->timers.claim_from = stream->timers.refresh_from = (strid_position){0, 0};
    stream->claim.is_asked = stream->claim.is_alone = false;
}

/* Entries of whomever, oldest first, that were idle for too long. */
static void put_candidates(struct redis_stream *stream)
{
    struct buffer *out = &stream->connection.out;
    stream->timers.claiming = true;
    redis_stream_expect(stream, REDIS_EXPECTED_CANDIDATES, 0);
    redis_stream_command(stream, 8, "XPENDING");
    redis_command_text(out, "IDLE");
    redis_command_number(out, (uint64_t)stream->options->claim_idle_ms);
    redis_stream_put_id(stream, stream->timers.claim_from);
    redis_command_text(out, "+");
    redis_command_number(out, CLAIM_PAGE);
}

static void put_claim(struct redis_stream *stream, strid_position from, uint32_t count)
{
    struct buffer *out = &stream->connection.out;
    stream->claim.is_asked = true;
    redis_stream_expect(stream, REDIS_EXPECTED_CLAIM, 0);
    redis_stream_command(stream, 8, "XAUTOCLAIM");
    redis_command_text(out, stream->consumer);
    redis_command_number(out, (uint64_t)stream->options->claim_idle_ms);
    redis_stream_put_id(stream, from);
    redis_command_text(out, "COUNT");
    redis_command_number(out, count);
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

bool redis_claim_is_refresh_due(const struct redis_stream *stream, int64_t now_ns)
{
    return stream->options->claim_idle_ms != 0 && !stream->is_ending &&
           now_ns >= stream->timers.refresh_ns;
}

bool redis_claim_is_refresh_late(const struct redis_stream *stream, int64_t now_ns)
{
    const int64_t late_ns = interval_ns(stream, REFRESHES_PER_IDLE) / LATE_PARTS;
    return redis_claim_is_refresh_due(stream, now_ns - late_ns);
}

void redis_claim_plan_refresh(struct redis_stream *stream, int64_t now_ns)
{
    if (redis_claim_is_refresh_due(stream, now_ns) && !stream->timers.refreshing &&
        redis_stream_has_room(stream))
        put_pending(stream);
}

/* One that was claimed alone and has not ended this process for so long waits in the engine, and
 * may do so for hours. */
static void release_alone(struct redis_stream *stream, int64_t now_ns)
{
    int64_t longest_ns = stream->options->claim_idle_ms * ns_per_ms;
    if (longest_ns < alone_least_ns)
        longest_ns = alone_least_ns;
    if (stream->claim.is_alone && !stream->claim.is_asked &&
        now_ns - stream->claim.alone_ns >= longest_ns)
        stream->claim.is_alone = false;
}

/* Own entries first: after a pause of this process they are no candidates then. */
void redis_claim_plan(struct redis_stream *stream, int64_t now_ns)
{
    redis_claim_plan_refresh(stream, now_ns);
    if (stream->options->claim_idle_ms == 0 || stream->is_history || stream->is_ending)
        return;
    release_alone(stream, now_ns);
    if (!stream->timers.claiming && !stream->timers.refreshing && !stream->claim.is_alone &&
        now_ns >= stream->timers.claim_ns && redis_stream_has_room(stream) &&
        redis_stream_has_credit(stream))
        put_candidates(stream);
}

int64_t redis_claim_wait_ms(const struct redis_stream *stream, int64_t now_ns)
{
    if (stream->options->claim_idle_ms == 0)
        return INT64_MAX;
    int64_t due = stream->timers.refresh_ns;
    if (!stream->claim.is_alone && stream->timers.claim_ns < due)
        due = stream->timers.claim_ns;
    return due <= now_ns ? 0 : (due - now_ns) / ns_per_ms + 1;
}

static bool is_zero(strid_position id) { return id.high == 0 && id.low == 0; }

/* Nothing more is idle for too long. */
static void end_round(struct redis_stream *stream)
{
    stream->timers.claiming = false;
    stream->timers.claim_from = (strid_position){0, 0};
    stream->timers.claim_ns =
        clock_monotonic_ns(&clock_system) + interval_ns(stream, CLAIMS_PER_IDLE);
}

/* How many of the first entries are claimed together; 0: the first one alone. */
static uint32_t count_together(const struct redis_stream *stream, const struct redisReply *reply)
{
    struct redis_delivery delivery;
    uint32_t count = 0;
    while (count < reply->elements && redis_delivery_parse(reply->element[count], &delivery) &&
           (stream->options->max_deliveries == 0 || delivery.count < ALONE_FROM))
        count++;
    return count;
}

void redis_claim_take_candidates(struct redis_stream *stream, const struct redisReply *reply)
{
    struct redis_delivery first, last;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
        !redis_delivery_parse(reply->element[0], &first)) {
        end_round(stream);
        return;
    }
    if (!redis_stream_has_room(stream)) {
        stream->timers.claiming = false; /* they are asked for again */
        return;
    }
    const uint32_t together = count_together(stream, reply);
    const uint64_t most = (uint64_t)stream->options->max_deliveries;
    last = first;
    if (together > 0)
        (void)redis_delivery_parse(reply->element[together - 1], &last);
    else if (most > 0 && first.count >= most)
        redis_delivery_condemn(stream, &first);
    else {
        stream->claim.alone = first.id;
        stream->claim.alone_ns = clock_monotonic_ns(&clock_system);
        stream->claim.is_alone = true;
    }
    stream->claim.next = redis_id_next(last.id);
    put_claim(stream, first.id, together > 0 ? together : 1);
}

static void tell_claimed(struct redis_stream *stream, uint32_t count, const char *when)
{
    stream->counts.claimed += count;
    if (count > 0)
        log_warn(stream->log, COMPONENT,
                 "stream %s: claimed %" PRIu32 " entries that another consumer held for more than "
                 "%" PRId64 " ms%s (%" PRIu64 " so far): what it applied without acknowledging is "
                 "applied again",
                 stream->name, count, stream->options->claim_idle_ms, when, stream->counts.claimed);
}

void redis_claim_count(struct redis_stream *stream, uint32_t count)
{
    tell_claimed(stream, count, ", on a connection or in a run that has ended");
}

void redis_claim_take_page(struct redis_stream *stream)
{
    const struct redis_entries *entries = &stream->entries;
    uint64_t gone = entries->deleted.len / sizeof(strid_position);
    stream->timers.claiming = stream->claim.is_asked = false;
    stream->timers.claim_from = stream->claim.next;
    if (!is_zero(entries->cursor) &&
        strid_position_compare(entries->cursor, stream->claim.next) < 0)
        stream->timers.claim_from = entries->cursor;
    if (entries->count == 0) /* another consumer was faster, or it is gone */
        stream->claim.is_alone = false;
    tell_claimed(stream, entries->count, "");
    stream->counts.gone += gone;
    if (gone > 0)
        log_error(stream->log, COMPONENT,
                  "stream %s: %" PRIu64 " pending entries had been deleted or trimmed before they "
                  "were handled (%" PRIu64 " so far); they are lost",
                  stream->name, gone, stream->counts.gone);
}

void redis_claim_settle(struct redis_stream *stream, const strid_position *ids, uint32_t count)
{
    for (uint32_t i = 0; stream->claim.is_alone && i < count; i++)
        if (strid_position_compare(ids[i], stream->claim.alone) == 0)
            stream->claim.is_alone = false;
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
    if (is_sound && reply->elements > 0 && redis_stream_has_room(stream)) {
        redis_missing_expect(stream, reply);
        put_refresh(stream, reply);
    }
    if (is_sound && reply->elements == REFRESH_PAGE) {
        stream->timers.refresh_from = redis_id_next(last);
        return;
    }
    stream->timers.refresh_from = (strid_position){0, 0};
    stream->timers.refresh_ns =
        clock_monotonic_ns(&clock_system) + interval_ns(stream, REFRESHES_PER_IDLE);
}
