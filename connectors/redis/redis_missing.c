#include "redis_missing.h"

#include "redis_ack.h"
#include "redis_command.h"
#include "redis_id.h"
#include "redis_reply.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <string.h>

#define COMPONENT "redis"

enum { LOOKS_MAX = 16 }; /* under way: each may bring an entry */

static strid_position id_at(const struct buffer *ids, size_t at)
{
    strid_position id;
    memcpy(&id, ids->data + at, sizeof id);
    return id;
}

/* Whether reading the own pending entries has not come to it yet on this connection. */
static bool is_unread(const struct redis_stream *stream, strid_position id)
{
    return stream->is_history && strid_position_compare(id, stream->history_from) > 0;
}

void redis_missing_expect(struct redis_stream *stream, const struct redisReply *pending)
{
    strid_position id;
    for (size_t i = 0; i < pending->elements; i++)
        if (redis_id_parse(redis_reply_bytes(pending->element[i]->element[0]), &id) &&
            is_unread(stream, id))
            buffer_put(&stream->missing.refreshed, &id, sizeof id);
}

/* Both are in the order of the command. */
void redis_missing_take_refreshed(struct redis_stream *stream, const struct redisReply *reply)
{
    struct buffer *refreshed = &stream->missing.refreshed;
    strid_position left;
    size_t next = 0;
    for (size_t at = 0; at < refreshed->len; at += sizeof left) {
        const strid_position id = id_at(refreshed, at);
        bool is_left = false;
        for (; reply->type == REDIS_REPLY_ARRAY && next < reply->elements; next++) {
            if (!redis_id_parse(redis_reply_bytes(reply->element[next]), &left))
                continue;
            const int order = strid_position_compare(left, id);
            is_left = order == 0;
            if (order >= 0)
                break;
        }
        if (!is_left && is_unread(stream, id))
            buffer_put(&stream->missing.lacking, &id, sizeof id);
    }
    buffer_clear(refreshed);
}

bool redis_missing_is_due(const struct redis_stream *stream)
{
    return stream->missing.lacking.len > 0;
}

void redis_missing_plan(struct redis_stream *stream)
{
    struct buffer *out = &stream->connection.out;
    const struct buffer *lacking = &stream->missing.lacking;
    size_t *sent_at = &stream->missing.sent_at;
    while (*sent_at < lacking->len && redis_stream_has_room(stream) &&
           *sent_at - stream->missing.answered_at < LOOKS_MAX * sizeof(strid_position)) {
        const strid_position id = id_at(lacking, *sent_at);
        redis_stream_expect(stream, REDIS_EXPECTED_MISSING, 1);
        redis_command_begin(out, 4);
        redis_command_text(out, "XRANGE");
        redis_command_text(out, stream->name);
        redis_stream_put_id(stream, id);
        redis_stream_put_id(stream, id);
        *sent_at += sizeof id;
    }
}

bool redis_missing_is_refused(const struct redis_expected *expected, const struct redisReply *reply)
{
    return expected->kind == REDIS_EXPECTED_MISSING && redis_reply_is_error(reply, "NOPERM");
}

static void tell_unknown(struct redis_stream *stream, strid_position id, const char *why)
{
    log_error(stream->log, COMPONENT,
              "stream %s: entry %" PRIu64 "-%" PRIu64
              " is not pending here any more, and %s: it is lost if it was deleted or trimmed, "
              "unless another consumer has it or it waits in the state",
              stream->name, id.high, id.low, why);
}

void redis_missing_take(struct redis_stream *stream, const struct redisReply *reply)
{
    struct buffer *lacking = &stream->missing.lacking;
    const strid_position id = id_at(lacking, stream->missing.answered_at);
    stream->missing.answered_at += sizeof id;
    if (reply->type == REDIS_REPLY_ERROR)
        tell_unknown(stream, id, "the user may not look for it (+xrange)");
    else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 0)
        redis_ack_tell_gone(stream, id);
    if (stream->missing.answered_at < lacking->len)
        return;
    buffer_clear(lacking);
    stream->missing.answered_at = stream->missing.sent_at = 0;
}

void redis_missing_give_up(struct redis_stream *stream)
{
    const struct buffer *lacking = &stream->missing.lacking;
    for (size_t at = stream->missing.answered_at; at < lacking->len; at += sizeof(strid_position))
        tell_unknown(stream, id_at(lacking, at), "the server is away");
    buffer_clear(&stream->missing.lacking);
    stream->missing.answered_at = stream->missing.sent_at = 0;
}

void redis_missing_restart(struct redis_stream *stream)
{
    buffer_put_bytes(&stream->missing.lacking, buffer_bytes(&stream->missing.refreshed));
    buffer_clear(&stream->missing.refreshed);
    stream->missing.sent_at = stream->missing.answered_at;
}
