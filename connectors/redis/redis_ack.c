#include "redis_ack.h"

#include "redis_claim.h"
#include "redis_command.h"

#include <inttypes.h>
#include <string.h>

#define COMPONENT "redis"

enum { ACKS_MAX = 16, ACK_IDS_MAX = 1000, COMPACT_BYTES = 64 * 1024 };

void redis_stream_ack(struct redis_stream *stream, const strid_position *positions, uint32_t count)
{
    pthread_mutex_lock(&stream->told.lock);
    buffer_put(&stream->told.positions, positions, count * sizeof *positions);
    atomic_fetch_add_explicit(&stream->told.count, count, memory_order_relaxed);
    pthread_mutex_unlock(&stream->told.lock);
}

uint64_t redis_stream_acked(struct redis_stream *stream)
{
    return atomic_load_explicit(&stream->acked, memory_order_acquire);
}

/* What is answered goes, once that costs little for what it frees: at a distance some are always
 * under way. */
static void compact(struct redis_stream *stream)
{
    const size_t answered = stream->acks_answered_at, left = stream->acks.len - answered;
    if (left > 0 && (answered < COMPACT_BYTES || answered < left))
        return;
    if (left > 0)
        memmove(stream->acks.data, stream->acks.data + answered, left);
    stream->acks.len = left;
    stream->acks_sent_at -= answered;
    stream->acks_answered_at = 0;
}

void redis_ack_take(struct redis_stream *stream)
{
    if (atomic_load_explicit(&stream->told.count, memory_order_relaxed) == 0)
        return;
    compact(stream);
    pthread_mutex_lock(&stream->told.lock);
    buffer_put_bytes(&stream->acks, buffer_bytes(&stream->told.positions));
    buffer_clear(&stream->told.positions);
    atomic_store_explicit(&stream->told.count, 0, memory_order_relaxed);
    pthread_mutex_unlock(&stream->told.lock);
}

static void put_ack(struct redis_stream *stream, const struct buffer *ids, size_t at,
                    uint32_t count, enum redis_expected_kind kind)
{
    redis_stream_expect(stream, kind, count);
    redis_stream_command(stream, 3 + count, "XACK");
    for (uint32_t i = 0; i < count; i++) {
        strid_position id;
        memcpy(&id, ids->data + at + i * sizeof id, sizeof id);
        redis_stream_put_id(stream, id);
    }
}

void redis_ack_plan(struct redis_stream *stream)
{
    redis_ack_take(stream);
    while (stream->acks_sent_at < stream->acks.len && stream->acks_sent < ACKS_MAX &&
           redis_stream_has_room(stream)) {
        size_t waiting = (stream->acks.len - stream->acks_sent_at) / sizeof(strid_position);
        uint32_t count = waiting > ACK_IDS_MAX ? ACK_IDS_MAX : (uint32_t)waiting;
        put_ack(stream, &stream->acks, stream->acks_sent_at, count, REDIS_EXPECTED_ACK);
        stream->acks_sent_at += count * sizeof(strid_position);
        stream->acks_sent++;
    }
}

void redis_ack_answered(struct redis_stream *stream, uint32_t count)
{
    const uint8_t *ids = stream->acks.data + stream->acks_answered_at;
    if (redis_claim_is_waiting(stream))
        redis_claim_settle(stream, (const strid_position *)(const void *)ids, count);
    stream->acks_sent--;
    stream->acks_answered_at += count * sizeof(strid_position);
    stream->answered += count;
}

void redis_ack_tell_gone(struct redis_stream *stream, strid_position id)
{
    stream->counts.gone++;
    log_error(stream->log, COMPONENT,
              "stream %s: entry %" PRIu64 "-%" PRIu64
              " was deleted or trimmed while it was pending "
              "here (%" PRIu64 " so far): it is lost, unless it waits in the state",
              stream->name, id.high, id.low, stream->counts.gone);
}

void redis_ack_gone(struct redis_stream *stream, strid_position id)
{
    struct buffer one = {0};
    redis_ack_tell_gone(stream, id);
    if (!redis_stream_has_room(stream))
        return; /* it stays pending, and comes again */
    buffer_put(&one, &id, sizeof id);
    put_ack(stream, &one, 0, 1, REDIS_EXPECTED_ACK_GONE);
    buffer_fini(&one);
}
