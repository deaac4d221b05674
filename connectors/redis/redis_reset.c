#include "redis_reset.h"

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/error.h"

#include "redis_command.h"
#include "redis_connection.h"
#include "redis_id.h"
#include "redis_info.h"
#include "redis_mark.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COMPONENT "redis"

/* A consumer that reads comes back after each `block`; with others' habits unknown, so long. */
enum { ACTIVE_MS = 5000, ACTIVE_BLOCKS = 3, PAGE = 500 };

struct moving {
    const struct redis_source_options *options;
    struct redis_connection connection;
    const char *stream;       /* in hand */
    strid_position last;      /* of the stream: the last ID that was given */
    strid_position delivered; /* to the group, last */
};

static strid_status ask(struct moving *moving, const char *const *words, struct redisReply **reply,
                        strid_error *err)
{
    redis_command_put(&moving->connection.out, words);
    STRID_TRY(redis_connection_next(&moving->connection, reply, err));
    strid_status status = redis_reply_check(*reply, words[0], err);
    if (status == STRID_OK)
        return STRID_OK;
    redis_reply_free(*reply);
    *reply = NULL;
    return error_wrap(err, status, "stream %s of %s", moving->stream,
                      moving->connection.address->shown);
}

static strid_status find_stream(struct moving *moving, strid_error *err)
{
    struct redisReply *reply = NULL;
    redis_command_put(&moving->connection.out,
                      (const char *const[]){"XINFO", "STREAM", moving->stream, NULL});
    STRID_TRY(redis_connection_next(&moving->connection, &reply, err));
    strid_status status = STRID_OK;
    if (redis_reply_is_error(reply, "ERR")) /* no such key */
        status = error_set(err, STRID_ENOTFOUND, COMPONENT, "%s has no stream %s",
                           moving->connection.address->shown, moving->stream);
    else
        status = redis_reply_check(reply, "XINFO STREAM", err);
    if (status == STRID_OK)
        (void)redis_info_position(reply, "last-generated-id", &moving->last);
    redis_reply_free(reply);
    return status;
}

static strid_status find_group(struct moving *moving, strid_error *err)
{
    struct redisReply *reply = NULL;
    bool found = false;
    STRID_TRY(
        ask(moving, (const char *const[]){"XINFO", "GROUPS", moving->stream, NULL}, &reply, err));
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements && !found; i++)
        found = strcmp(redis_info_text(reply->element[i], "name"), moving->options->group) == 0 &&
                redis_info_position(reply->element[i], "last-delivered-id", &moving->delivered);
    redis_reply_free(reply);
    if (found)
        return STRID_OK;
    return error_set(err, STRID_ENOTFOUND, COMPONENT,
                     "stream %s of %s has no group %s; `strid groups` lists them", moving->stream,
                     moving->connection.address->shown, moving->options->group);
}

/* That of the node whose state is held, or its mark: it does not run. */
static bool is_own(const struct moving *moving, const strid_relocation *relocation,
                   const char *name)
{
    const char *given = moving->options->consumer;
    strid_bytes own = given == NULL ? relocation->fingerprint : strid_bytes_of_text(given);
    if (!relocation->is_held || own.len == 0)
        return false;
    return strid_bytes_equal(own, strid_bytes_of_text(name)) || redis_mark_is_of(name, own);
}

static strid_status check_members(struct moving *moving, const strid_relocation *relocation,
                                  strid_error *err)
{
    struct redisReply *reply = NULL;
    strid_status status = STRID_OK;
    const char *group = moving->options->group;
    int64_t least = moving->options->block_ms * ACTIVE_BLOCKS;
    least = least < ACTIVE_MS ? ACTIVE_MS : least;
    STRID_TRY(ask(moving, (const char *const[]){"XINFO", "CONSUMERS", moving->stream, group, NULL},
                  &reply, err));
    for (size_t i = 0;
         status == STRID_OK && reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        const char *name = redis_info_text(reply->element[i], "name");
        uint64_t idle_ms = redis_info_number(reply->element[i], "idle");
        if (is_own(moving, relocation, name) || idle_ms >= (uint64_t)least)
            continue;
        status = error_set(err, STRID_EBUSY, COMPONENT,
                           "group %s of stream %s is in use: consumer %s was heard of %" PRIu64
                           " ms ago; stop the nodes that read, and wait until it is %" PRId64 " ms",
                           group, moving->stream, name, idle_ms, least);
    }
    redis_reply_free(reply);
    return status;
}

/* `*at` moves over up to `left` entries, which are taken from it. Forward it is the last one
 * passed; backward the earliest. `*from` is what the server is asked for next. */
static strid_status pass_page(struct moving *moving, bool backward, uint64_t *left,
                              char from[REDIS_ID_MAX + 1], strid_position *at, strid_error *err)
{
    char page[24];
    struct redisReply *reply = NULL;
    const uint64_t wanted = *left < PAGE ? *left : PAGE;
    (void)snprintf(page, sizeof page, "%" PRIu64, wanted);
    STRID_TRY(ask(moving,
                  (const char *const[]){backward ? "XREVRANGE" : "XRANGE", moving->stream, from,
                                        backward ? "-" : "+", "COUNT", page, NULL},
                  &reply, err));
    const size_t count = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;
    const struct redisReply *last = count == 0 ? NULL : reply->element[count - 1];
    if (last != NULL && last->type == REDIS_REPLY_ARRAY && last->elements > 0)
        (void)redis_id_parse(redis_reply_bytes(last->element[0]), at);
    *left = count < wanted ? 0 : *left - wanted;
    from[0] = '(';
    (void)redis_id_format(*at, from + 1);
    redis_reply_free(reply);
    return STRID_OK;
}

/* So many entries on or back; at the end of the stream, or its beginning, it goes no further. */
static strid_status shift(struct moving *moving, int64_t by, strid_position *wanted,
                          strid_error *err)
{
    const bool backward = by < 0;
    uint64_t left = backward ? 0 - (uint64_t)by : (uint64_t)by;
    char from[REDIS_ID_MAX + 1] = "(";
    strid_position at = backward ? *wanted : moving->delivered;
    /* Backward the entry that was delivered last is the first that is passed. */
    (void)redis_id_format(backward ? moving->delivered : at, backward ? from : from + 1);
    while (left > 0)
        STRID_TRY(pass_page(moving, backward, &left, from, &at, err));
    *wanted = backward ? at : redis_id_next(at);
    return STRID_OK;
}

static strid_status check_position(const struct moving *moving, strid_position wanted,
                                   strid_error *err)
{
    char given[REDIS_ID_MAX], last[REDIS_ID_MAX];
    if (strid_position_compare(redis_id_before(wanted), moving->last) <= 0)
        return STRID_OK;
    (void)redis_id_format(wanted, given);
    (void)redis_id_format(moving->last, last);
    return error_set(err, STRID_EINVAL, COMPONENT,
                     "stream %s ends with %s: behind %s entries that come later would never be "
                     "read; say latest for its end",
                     moving->stream, last, given);
}

static strid_status find_place(struct moving *moving, const strid_place *to, strid_position *wanted,
                               strid_error *err)
{
    const strid_position end = redis_id_next(moving->last);
    *wanted = redis_id_next(moving->delivered);
    switch (to->kind) {
    case STRID_PLACE_EARLIEST:
        *wanted = (strid_position){0, 1}; /* the lowest ID that there can be */
        return STRID_OK;
    case STRID_PLACE_LATEST:
        *wanted = end;
        return STRID_OK;
    case STRID_PLACE_POSITION:
        *wanted = to->position;
        return check_position(moving, *wanted, err);
    case STRID_PLACE_TIME:
        *wanted = (strid_position){(uint64_t)to->time_ms, 0};
        if (strid_position_compare(*wanted, end) > 0)
            *wanted = end;
        return STRID_OK;
    case STRID_PLACE_SHIFT:
        return shift(moving, to->shift, wanted, err);
    }
    return STRID_OK;
}

static strid_status locate(struct moving *moving, const strid_place *to,
                           strid_relocation *relocation, strid_error *err)
{
    STRID_TRY(find_stream(moving, err));
    STRID_TRY(find_group(moving, err));
    STRID_TRY(check_members(moving, relocation, err));
    relocation->group = moving->options->group;
    relocation->is_pair = true;
    relocation->has_current = true;
    relocation->current = redis_id_next(moving->delivered);
    return find_place(moving, to, &relocation->wanted, err);
}

strid_status redis_reset_locate(const struct redis_address *address,
                                const struct redis_source_options *options, const strid_place *to,
                                strid_relocation *partitions, uint32_t count, strid_error *err)
{
    struct moving moving = {.options = options};
    redis_connection_init(&moving.connection, address, "strid-reset");
    strid_status status = redis_connection_open(&moving.connection, err);
    for (uint32_t i = 0; status == STRID_OK && i < count; i++) {
        STRID_ASSERT(partitions[i].partition < address->stream_count);
        moving.stream = address->streams[partitions[i].partition];
        status = locate(&moving, to, &partitions[i], err);
    }
    redis_connection_fini(&moving.connection);
    return status;
}

static strid_status acknowledge(struct moving *moving, const struct redisReply *pending,
                                strid_error *err)
{
    struct buffer *out = &moving->connection.out;
    struct redisReply *reply = NULL;
    redis_command_begin(out, 3 + (uint32_t)pending->elements);
    redis_command_text(out, "XACK");
    redis_command_text(out, moving->stream);
    redis_command_text(out, moving->options->group);
    for (size_t i = 0; i < pending->elements; i++)
        redis_command_word(out, redis_reply_bytes(pending->element[i]->element[0]));
    STRID_TRY(redis_connection_next(&moving->connection, &reply, err));
    strid_status status = redis_reply_check(reply, "XACK", err);
    redis_reply_free(reply);
    return status;
}

/* An entry that is to come as a new one must not come as a pending one as well: it would be handled
 * twice. The group was moved before, so that none of them is lost. */
static strid_status release_pending(struct moving *moving, strid_position wanted, strid_error *err)
{
    char from[REDIS_ID_MAX], page[24];
    bool more = true;
    (void)redis_id_format(wanted, from);
    (void)snprintf(page, sizeof page, "%d", PAGE);
    while (more) {
        struct redisReply *reply = NULL;
        STRID_TRY(ask(moving,
                      (const char *const[]){"XPENDING", moving->stream, moving->options->group,
                                            from, "+", page, NULL},
                      &reply, err));
        bool is_list = reply->type == REDIS_REPLY_ARRAY;
        for (size_t i = 0; is_list && i < reply->elements; i++)
            is_list =
                reply->element[i]->type == REDIS_REPLY_ARRAY && reply->element[i]->elements > 0;
        strid_status status = is_list ? STRID_OK
                                      : error_set(err, STRID_EIO, COMPONENT,
                                                  "XPENDING has an answer that is no list");
        more = is_list && reply->elements > 0;
        if (more)
            status = acknowledge(moving, reply, err);
        redis_reply_free(reply);
        STRID_TRY(status);
    }
    return STRID_OK;
}

static strid_status move(struct moving *moving, strid_position wanted, strid_error *err)
{
    char before[REDIS_ID_MAX];
    struct redisReply *reply = NULL;
    (void)redis_id_format(redis_id_before(wanted), before);
    STRID_TRY(ask(moving,
                  (const char *const[]){"XGROUP", "SETID", moving->stream, moving->options->group,
                                        before, NULL},
                  &reply, err));
    redis_reply_free(reply);
    CRASH_POINT("reset_stream_moved");
    return release_pending(moving, wanted, err);
}

strid_status redis_reset_move(const struct redis_address *address,
                              const struct redis_source_options *options,
                              const strid_relocation *partitions, uint32_t count, strid_error *err)
{
    struct moving moving = {.options = options};
    redis_connection_init(&moving.connection, address, "strid-reset");
    strid_status status = redis_connection_open(&moving.connection, err);
    for (uint32_t i = 0; status == STRID_OK && i < count; i++) {
        moving.stream = address->streams[partitions[i].partition];
        status = move(&moving, partitions[i].wanted, err);
    }
    redis_connection_fini(&moving.connection);
    return status;
}
