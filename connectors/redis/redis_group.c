#include "redis_group.h"

#include "base/error.h"

#include "redis_command.h"
#include "redis_id.h"
#include "redis_mark.h"
#include "redis_reply.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <string.h>

#define COMPONENT "redis"

enum { ATTEMPTS = 5 }; /* at a group that others take away meanwhile */

/* The ID that the server gave last; 0-0 where there is no stream. */
static strid_status read_last_id(struct redis_stream *stream, strid_position *out, strid_error *err)
{
    struct redisReply *reply = NULL;
    *out = (strid_position){0, 0};
    redis_command_put(&stream->connection.out,
                      (const char *const[]){"XINFO", "STREAM", stream->name, NULL});
    STRID_TRY(redis_connection_next(&stream->connection, &reply, err));
    strid_status status = STRID_OK;
    if (!redis_reply_is_error(reply, "ERR")) /* no such key */
        status = redis_reply_check(reply, "XINFO STREAM", err);
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2)
        if (strid_bytes_equal(redis_reply_bytes(reply->element[i]),
                              strid_bytes_of_text("last-generated-id")))
            (void)redis_id_parse(redis_reply_bytes(reply->element[i + 1]), out);
    redis_reply_free(reply);
    return status;
}

static strid_status create(struct redis_stream *stream, const char *from, bool *made,
                           strid_error *err)
{
    struct redisReply *reply = NULL;
    redis_command_put(&stream->connection.out,
                      (const char *const[]){"XGROUP", "CREATE", stream->name,
                                            stream->options->group, from, "MKSTREAM", NULL});
    STRID_TRY(redis_connection_next(&stream->connection, &reply, err));
    strid_status status = STRID_OK;
    *made = reply->type == REDIS_REPLY_STATUS;
    if (!redis_reply_is_error(reply, "BUSYGROUP"))
        status = redis_reply_check(reply, "XGROUP CREATE", err);
    redis_reply_free(reply);
    return status;
}

static void tell_backwards(struct redis_stream *stream, strid_position last)
{
    char from[REDIS_ID_MAX], to[REDIS_ID_MAX];
    (void)redis_id_format(last, from);
    (void)redis_id_format(stream->highest, to);
    log_error(stream->log, COMPONENT,
              "stream %s ran backwards: its last entry is %s and %s was handled here; the server "
              "has lost its last writes, or the stream was made anew; entries between them that "
              "were not handled are lost",
              stream->name, from, to);
}

static void tell_made_again(struct redis_stream *stream, const char *from)
{
    log_error(stream->log, COMPONENT,
              "group %s of stream %s was gone and is made again, behind %s (%" PRIu64
              " so far): what "
              "was delivered to other consumers and not acknowledged is not known any more and "
              "lost unless they hold it; other consumers' later entries may come again",
              stream->options->group, stream->name, from, ++stream->counts.remade);
}

/* Where entries were handled here before and the stream still knows them, a group that is gone goes
 * on behind them. A stream that runs backwards has other entries under lower IDs: all of them, for
 * a repeat is better than a loss. */
static strid_status find_start(struct redis_stream *stream, bool was_read, char from[REDIS_ID_MAX],
                               strid_error *err)
{
    const bool is_late = stream->options->start == REDIS_START_LATEST && !stream->has_group;
    strid_position last;
    memcpy(from, "0", sizeof "0");
    if (!was_read && !is_late && !stream->has_mark)
        return STRID_OK;
    STRID_TRY(read_last_id(stream, &last, err));
    redis_stream_see(stream, last); /* an earlier run may have been given all of them */
    if (!was_read && !is_late)
        return STRID_OK;
    if (strid_position_compare(last, stream->highest) < 0) {
        tell_backwards(stream, last);
        stream->highest = last;
        return STRID_OK;
    }
    stream->highest = was_read ? stream->highest : last; /* a late group begins there */
    (void)redis_id_format(stream->highest, from);
    return STRID_OK;
}

/* A server without memory refuses to make a group even where there is one, which can be read on all
 * the same: what is read and trimmed is what frees memory. */
static strid_status ensure_group(struct redis_stream *stream, const char *from, bool *made,
                                 strid_error *err)
{
    strid_error full = STRID_ERROR_INIT;
    strid_status created = create(stream, from, made, &full);
    if (created != STRID_OK && created != STRID_ENOSPC) {
        *err = full;
        return created;
    }
    stream->has_group = stream->has_group || created == STRID_OK;
    strid_status status = redis_mark_prepare(stream, !*made, err);
    if (status == STRID_AGAIN && created == STRID_ENOSPC) { /* there is none */
        *err = full;
        return created;
    }
    return status;
}

strid_status redis_group_prepare(struct redis_stream *stream, strid_error *err)
{
    for (int attempt = 1;; attempt++) {
        const bool was_read = stream->highest.high != 0 || stream->highest.low != 0;
        const bool was_there = was_read || stream->has_group || stream->has_mark;
        char from[REDIS_ID_MAX];
        bool made = false;
        STRID_TRY(find_start(stream, was_read, from, err));
        strid_status status = ensure_group(stream, from, &made, err);
        if (made && was_there)
            tell_made_again(stream, from);
        if (status != STRID_AGAIN)
            return status;
        if (attempt == ATTEMPTS)
            return STRID_EIO; /* with what the server said */
    }
}
