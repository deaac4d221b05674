#include "redis_mark.h"

#include "base/clock.h"
#include "base/error.h"

#include "redis_command.h"
#include "redis_id.h"
#include "redis_info.h"
#include "redis_reply.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COMPONENT "redis"

enum { LOOKS_PER_IDLE = 4 }; /* as often as others' idle entries are looked for */

static const int64_t ns_per_ms = 1000000, longest_ns = INT64_C(10000000000);

static const char suffix[] = ":mark";

bool redis_mark_is_of(const char *name, strid_bytes consumer)
{
    const size_t suffix_len = sizeof suffix - 1;
    if (strlen(name) < consumer.len + suffix_len || memcmp(name, consumer.data, consumer.len) != 0)
        return false;
    const char *rest = name + consumer.len;
    return memcmp(rest, suffix, suffix_len) == 0 &&
           (rest[suffix_len] == '\0' || rest[suffix_len] == ':');
}

static void put_look(struct redis_stream *stream)
{
    redis_command_put(
        &stream->connection.out,
        (const char *const[]){"XINFO", "CONSUMERS", stream->name, stream->options->group, NULL});
}

/* `lost`: the highest ID that it may have been given by a group that is gone; NULL: there was none
 */
static void put_make(struct redis_stream *stream, const strid_position *lost)
{
    char name[REDIS_STREAM_NAME_MAX + sizeof suffix + REDIS_ID_MAX];
    char id[REDIS_ID_MAX] = "";
    if (lost != NULL)
        (void)redis_id_format(*lost, id);
    (void)snprintf(name, sizeof name, "%s%s%s%s", stream->consumer, suffix, lost == NULL ? "" : ":",
                   id);
    redis_command_put(&stream->connection.out,
                      (const char *const[]){"XGROUP", "CREATECONSUMER", stream->name,
                                            stream->options->group, name, NULL});
}

/* Each consumer is a flat list of names and values. */
static bool is_there(const struct redis_stream *stream, const struct redisReply *reply)
{
    const strid_bytes consumer = strid_bytes_of_text(stream->consumer);
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        if (redis_mark_is_of(redis_info_text(reply->element[i], "name"), consumer))
            return true;
    return false;
}

bool redis_mark_has_no_group(const struct redisReply *reply)
{
    /* Without the stream it is a plain ERR. */
    return redis_reply_is_error(reply, "NOGROUP") || redis_reply_is_error(reply, "ERR");
}

static void tell(struct redis_stream *stream)
{
    if (stream->is_mark_told)
        return;
    stream->is_mark_told = true;
    log_error(stream->log, COMPONENT,
              "group %s of stream %s is not the one that was read here (%" PRIu64
              " so far): it was "
              "gone and is made again by another node, or the server lost its last writes; entries "
              "that nobody had read or acknowledged are lost unless the stream or a consumer still "
              "holds them, and others may come again",
              stream->options->group, stream->name, ++stream->counts.remade);
}

static strid_status answer(struct redis_stream *stream, const char *what, struct redisReply **reply,
                           strid_error *err)
{
    STRID_TRY(redis_connection_next(&stream->connection, reply, err));
    strid_status status = redis_reply_check(*reply, what, err);
    if (status != STRID_OK && redis_mark_has_no_group(*reply))
        status = STRID_AGAIN;
    if (status != STRID_OK)
        redis_reply_free(*reply);
    return status;
}

strid_status redis_mark_prepare(struct redis_stream *stream, bool is_other, strid_error *err)
{
    struct redisReply *reply = NULL;
    put_look(stream);
    STRID_TRY(answer(stream, "XINFO CONSUMERS", &reply, err));
    const bool found = is_there(stream, reply);
    redis_reply_free(reply);
    if (!found) {
        if (is_other && stream->has_mark && !stream->is_renamed)
            tell(stream);
        put_make(stream, stream->has_mark ? &stream->furthest : NULL);
        STRID_TRY(answer(stream, "XGROUP CREATECONSUMER", &reply, err));
        redis_reply_free(reply);
    }
    stream->is_mark_told = stream->is_renamed = false;
    stream->has_mark = true;
    return STRID_OK;
}

void redis_mark_restart(struct redis_stream *stream)
{
    int64_t idle_ms = stream->options->claim_idle_ms, interval = longest_ns;
    if (idle_ms > 0 && idle_ms < longest_ns / ns_per_ms * LOOKS_PER_IDLE)
        interval = idle_ms * ns_per_ms / LOOKS_PER_IDLE;
    stream->timers.mark_ns = clock_monotonic_ns(&clock_system) + interval;
    stream->timers.marking = false;
}

void redis_mark_plan(struct redis_stream *stream, int64_t now_ns)
{
    if (stream->timers.marking || now_ns < stream->timers.mark_ns || !redis_stream_has_room(stream))
        return;
    stream->timers.marking = true;
    redis_stream_expect(stream, REDIS_EXPECTED_LOOK, 0);
    put_look(stream);
}

void redis_mark_take(struct redis_stream *stream, const struct redisReply *reply)
{
    redis_mark_restart(stream);
    if (is_there(stream, reply)) {
        stream->is_mark_told = false;
        return;
    }
    tell(stream);
    if (!redis_stream_has_room(stream))
        return; /* the next look makes it */
    redis_stream_expect(stream, REDIS_EXPECTED_MARK, 0);
    put_make(stream, &stream->furthest);
}
