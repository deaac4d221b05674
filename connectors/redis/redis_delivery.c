#include "redis_delivery.h"

#include "redis_claim.h"
#include "redis_command.h"
#include "redis_id.h"
#include "redis_reply.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <string.h>

#define COMPONENT "redis"

enum { RESTORE_IDS_MAX = 1000 }; /* of one command */

static const char too_often[] = "delivered_too_often";

bool redis_delivery_parse(const struct redisReply *entry, struct redis_delivery *out)
{
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 4 ||
        entry->element[3]->type != REDIS_REPLY_INTEGER || entry->element[3]->integer < 0)
        return false;
    out->count = (uint64_t)entry->element[3]->integer;
    return redis_id_parse(redis_reply_bytes(entry->element[0]), &out->id);
}

void redis_delivery_restart(struct redis_stream *stream)
{
    buffer_clear(&stream->delivery.condemned);
}

bool redis_delivery_plan(struct redis_stream *stream, uint32_t count)
{
    struct buffer *out = &stream->connection.out;
    if (stream->expected_count + 2 > REDIS_STREAM_EXPECTED)
        return false;
    redis_stream_expect(stream, REDIS_EXPECTED_COUNTS, 0);
    redis_stream_command(stream, 7, "XPENDING");
    redis_stream_put_id(stream, redis_id_next(stream->history_from));
    redis_command_text(out, "+");
    redis_command_number(out, count);
    redis_command_text(out, stream->consumer);
    return true;
}

static void put_restore(struct redis_stream *stream, const strid_position *ids, uint32_t count,
                        uint64_t deliveries)
{
    struct buffer *out = &stream->connection.out;
    redis_stream_expect(stream, REDIS_EXPECTED_RESTORE, 0);
    redis_stream_command(stream, 8 + count, "XCLAIM");
    redis_command_text(out, stream->consumer);
    redis_command_number(out, 0);
    for (uint32_t i = 0; i < count; i++)
        redis_stream_put_id(stream, ids[i]);
    redis_command_text(out, "RETRYCOUNT");
    redis_command_number(out, deliveries);
    redis_command_text(out, "JUSTID");
}

/* Sent behind the read that adds one to each: a command for each number of deliveries. Should
 * another consumer have claimed one of them since, it is taken back, and both have it in hand: that
 * claim is counted there. Where there is no room the number stays too high. */
static void restore(struct redis_stream *stream, struct redis_delivery *list, size_t length)
{
    strid_position ids[RESTORE_IDS_MAX];
    for (size_t first = 0; first < length && redis_stream_has_room(stream); first++) {
        const uint64_t deliveries = list[first].count;
        uint32_t count = 0;
        for (size_t i = first; deliveries > 0 && i < length && count < RESTORE_IDS_MAX; i++) {
            if (list[i].count != deliveries)
                continue;
            ids[count++] = list[i].id;
            list[i].count = 0; /* done */
        }
        if (count > 0)
            put_restore(stream, ids, count, deliveries);
    }
}

void redis_delivery_take(struct redis_stream *stream, const struct redisReply *reply)
{
    struct buffer list = {0};
    struct redis_delivery delivery;
    const uint64_t most = (uint64_t)stream->options->max_deliveries;
    uint32_t claimed = 0;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        if (!redis_delivery_parse(reply->element[i], &delivery))
            continue;
        buffer_put(&list, &delivery, sizeof delivery);
        claimed += delivery.count > 1 ? 1 : 0;
        if (most > 0 && delivery.count > most)
            redis_delivery_condemn(stream, &delivery);
    }
    if (stream->delivery.is_claim_unknown && claimed > 0)
        redis_claim_count(stream, claimed);
    if (list.len == 0) /* the last page */
        stream->delivery.is_claim_unknown = false;
    restore(stream, (struct redis_delivery *)(void *)list.data, list.len / sizeof delivery);
    buffer_fini(&list);
}

void redis_delivery_condemn(struct redis_stream *stream, const struct redis_delivery *delivery)
{
    log_error(stream->log, COMPONENT,
              "stream %s: entry %" PRIu64 "-%" PRIu64 " was given to consumers %" PRIu64
              " times and never acknowledged (max_deliveries %" PRId64
              "): it is dead-lettered and not handled",
              stream->name, delivery->id.high, delivery->id.low, delivery->count,
              stream->options->max_deliveries);
    buffer_put(&stream->delivery.condemned, &delivery->id, sizeof delivery->id);
}

/* Where it stands among the condemned; their end: nowhere. There are hardly ever any. */
static size_t find(const struct redis_stream *stream, strid_position id)
{
    const struct buffer *condemned = &stream->delivery.condemned;
    size_t at = 0;
    for (; at < condemned->len; at += sizeof id) {
        strid_position other;
        memcpy(&other, condemned->data + at, sizeof other);
        if (strid_position_compare(id, other) == 0)
            break;
    }
    return at;
}

void redis_delivery_judge(const struct redis_stream *stream, strid_raw *raw)
{
    const size_t len = stream->delivery.condemned.len;
    if (len > 0 && raw->fault == NULL && find(stream, raw->position) < len)
        raw->fault = too_often;
}

void redis_delivery_forget(struct redis_stream *stream, strid_position id)
{
    struct buffer *condemned = &stream->delivery.condemned;
    const size_t at = condemned->len == 0 ? 0 : find(stream, id);
    if (at >= condemned->len)
        return;
    condemned->len -= sizeof id;
    memmove(condemned->data + at, condemned->data + condemned->len, sizeof id);
}
