#include "redis_read.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include "redis_command.h"
#include "redis_connection.h"
#include "redis_id.h"
#include "redis_info.h"
#include "redis_record.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COMPONENT "redis"

enum { PAGE = 500, WAIT_MS = 100, PADDING = 64 };

struct tapped {
    strid_origin origin;
    strid_position last; /* read so far, or what lies before the first */
    bool ended;          /* it came to the end of the range */
};

struct redis_reading {
    const struct redis_source_options *options;
    const strid_read_range *range;
    strid_read_fn fn;
    void *user;
    struct redis_address address;
    struct redis_connection connection;
    struct tapped *streams;
    struct buffer staged; /* the fields of an entry, as redis_record_make reads them */
    struct redis_record record;
    bool follow;
    bool stopped; /* by the callback */
};

/* The answer to what was put into `out`; the caller frees it. */
static strid_status ask(struct redis_reading *reading, const char *what, const char *stream,
                        struct redisReply **reply, strid_error *err)
{
    STRID_TRY(redis_connection_next(&reading->connection, reply, err));
    strid_status status = redis_reply_check(*reply, what, err);
    if (status != STRID_OK)
        return error_wrap(err, status, "%s%s%s", stream == NULL ? "" : stream,
                          stream == NULL ? "" : " of ", reading->address.shown);
    return STRID_OK;
}

static strid_status missing(const struct redis_reading *reading, const char *stream,
                            strid_error *err)
{
    return error_set(err, STRID_ENOTFOUND, COMPONENT, "%s has no stream %s", reading->address.shown,
                     stream);
}

/* Behind the entry that was added last. */
static strid_status start_at_end(struct redis_reading *reading, const char *stream,
                                 strid_position *last, strid_error *err)
{
    struct redisReply *reply = NULL;
    redis_command_put(&reading->connection.out,
                      (const char *const[]){"XINFO", "STREAM", stream, NULL});
    STRID_TRY(redis_connection_next(&reading->connection, &reply, err));
    strid_status status = STRID_OK;
    if (!redis_reply_is_error(reply, "ERR")) /* no such key: what comes is behind its end */
        status = redis_reply_check(reply, "XINFO STREAM", err);
    if (status == STRID_OK)
        (void)redis_info_position(reply, "last-generated-id", last);
    redis_reply_free(reply);
    return status;
}

static strid_status start_as_stored(struct redis_reading *reading, const char *stream,
                                    strid_position *last, strid_error *err)
{
    struct redisReply *reply = NULL;
    const char *group = reading->options->group;
    if (group == NULL)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "to begin where a group stands, name it: add ?group=NAME to the URL");
    redis_command_put(&reading->connection.out,
                      (const char *const[]){"XINFO", "GROUPS", stream, NULL});
    strid_status status = ask(reading, "XINFO GROUPS", stream, &reply, err);
    bool found = false;
    for (size_t i = 0; status == STRID_OK && i < reply->elements; i++)
        if (strcmp(redis_info_text(reply->element[i], "name"), group) == 0)
            found = redis_info_position(reply->element[i], "last-delivered-id", last);
    redis_reply_free(reply);
    if (status == STRID_OK && !found)
        status = error_set(err, STRID_ENOTFOUND, COMPONENT, "stream %s of %s has no group %s",
                           stream, reading->address.shown, group);
    return status;
}

/* Backwards, page by page, to the entry before the last `count` ones. */
static strid_status start_before_last(struct redis_reading *reading, const char *stream,
                                      strid_position *last, strid_error *err)
{
    char from[REDIS_ID_MAX + 1] = "+", page[24];
    uint64_t left = reading->range->count;
    bool more = true;
    if (left == 0)
        return start_at_end(reading, stream, last, err);
    while (more && left > 0) {
        struct redisReply *reply = NULL;
        uint64_t wanted = left < PAGE ? left : PAGE;
        (void)snprintf(page, sizeof page, "%" PRIu64, wanted);
        redis_command_put(
            &reading->connection.out,
            (const char *const[]){"XREVRANGE", stream, from, "-", "COUNT", page, NULL});
        strid_status status = ask(reading, "XREVRANGE", stream, &reply, err);
        more = status == STRID_OK && reply->elements == wanted;
        if (status == STRID_OK && reply->elements > 0) {
            const struct redisReply *oldest = reply->element[reply->elements - 1];
            strid_position id = {0, 0};
            if (oldest->type == REDIS_REPLY_ARRAY && oldest->elements > 0)
                (void)redis_id_parse(redis_reply_bytes(oldest->element[0]), &id);
            *last = redis_id_before(id);
            from[0] = '(';
            (void)redis_id_format(id, from + 1);
            left -= wanted < left ? wanted : left;
        }
        redis_reply_free(reply);
        STRID_TRY(status);
    }
    return STRID_OK;
}

static strid_status find_start(struct redis_reading *reading, const char *stream,
                               strid_position *last, strid_error *err)
{
    const strid_read_range *range = reading->range;
    *last = (strid_position){0, 0};
    switch (range->start) {
    case STRID_READ_BEGINNING:
        return STRID_OK;
    case STRID_READ_END:
        return start_at_end(reading, stream, last, err);
    case STRID_READ_STORED:
        return start_as_stored(reading, stream, last, err);
    case STRID_READ_POSITION:
        *last = redis_id_before(range->position);
        return STRID_OK;
    case STRID_READ_LAST:
        return start_before_last(reading, stream, last, err);
    case STRID_READ_TIME:
        *last = redis_id_before((strid_position){(uint64_t)range->start_ms, 0});
        return STRID_OK;
    }
    return STRID_OK;
}

/* A name that is wrong is not an empty stream, unless it is waited for. */
static strid_status check_stream(struct redis_reading *reading, const char *stream,
                                 strid_error *err)
{
    struct redisReply *reply = NULL;
    redis_command_put(&reading->connection.out, (const char *const[]){"TYPE", stream, NULL});
    strid_status status = ask(reading, "TYPE", stream, &reply, err);
    if (status == STRID_OK) {
        strid_bytes type = redis_reply_bytes(reply);
        if (strid_bytes_equal(type, strid_bytes_of_text("none")))
            status = reading->follow ? STRID_OK : missing(reading, stream, err);
        else if (!strid_bytes_equal(type, strid_bytes_of_text("stream")))
            status =
                error_set(err, STRID_ECONFIG, COMPONENT, "%s of %s is no stream but a %.*s", stream,
                          reading->address.shown, (int)type.len, (const char *)type.data);
    }
    redis_reply_free(reply);
    return status;
}

static bool give(struct redis_reading *reading, const struct tapped *tapped, uint32_t field_count)
{
    struct redis_entry_head head = {.id = tapped->last, .field_count = field_count};
    (void)buffer_reserve(&reading->staged, PADDING);
    redis_record_make(&reading->record, reading->options, &head,
                      cursor_of(buffer_bytes(&reading->staged)));
    const strid_raw *raw = &reading->record.raw;
    strid_record record = {.key = raw->key,
                           .value = raw->value,
                           .position = raw->position,
                           .timestamp_ms = raw->timestamp_ms,
                           .origin = &tapped->origin,
                           .headers = raw->headers,
                           .header_count = raw->header_count};
    return reading->fn(reading->user, &(strid_read_record){.record = &record,
                                                           .timestamp_type = "logappend",
                                                           .fault = raw->fault,
                                                           .broker = -1,
                                                           .is_pair = true});
}

static strid_status take_entry(struct redis_reading *reading, struct tapped *tapped,
                               const struct redisReply *entry, strid_error *err)
{
    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        entry->element[1]->type != REDIS_REPLY_ARRAY ||
        !redis_id_parse(redis_reply_bytes(entry->element[0]), &tapped->last))
        return error_set(err, STRID_EIO, COMPONENT, "%s: XREAD has an answer that is no entry",
                         reading->address.shown);
    if (reading->range->end_ms != STRID_READ_WITHOUT_END &&
        tapped->last.high >= (uint64_t)reading->range->end_ms) {
        tapped->ended = true;
        return STRID_OK;
    }
    const struct redisReply *fields = entry->element[1];
    buffer_clear(&reading->staged);
    for (size_t i = 0; i < fields->elements; i++) {
        strid_bytes text = redis_reply_bytes(fields->element[i]);
        buffer_put_u32(&reading->staged, (uint32_t)text.len);
        buffer_put_bytes(&reading->staged, text);
    }
    reading->stopped = !give(reading, tapped, (uint32_t)(fields->elements / 2));
    return STRID_OK;
}

static strid_status take_stream(struct redis_reading *reading, const struct redisReply *part,
                                strid_error *err)
{
    strid_status status = STRID_OK;
    if (part->type != REDIS_REPLY_ARRAY || part->elements != 2)
        return error_set(err, STRID_EIO, COMPONENT, "%s: XREAD has an answer that is no stream",
                         reading->address.shown);
    strid_bytes name = redis_reply_bytes(part->element[0]);
    const struct redisReply *entries = part->element[1];
    for (uint32_t s = 0; s < reading->address.stream_count; s++) {
        struct tapped *tapped = &reading->streams[s];
        if (!strid_bytes_equal(name, strid_bytes_of_text(tapped->origin.topic)))
            continue;
        for (size_t i = 0;
             i < entries->elements && status == STRID_OK && !tapped->ended && !reading->stopped;
             i++)
            status = take_entry(reading, tapped, entries->element[i], err);
        break;
    }
    return status;
}

static uint32_t put_request(struct redis_reading *reading)
{
    struct buffer *out = &reading->connection.out;
    uint32_t count = 0;
    for (uint32_t s = 0; s < reading->address.stream_count; s++)
        count += reading->streams[s].ended ? 0 : 1;
    if (count == 0)
        return 0;
    redis_command_begin(out, 2 * count + (reading->follow ? 6 : 4));
    redis_command_text(out, "XREAD");
    redis_command_text(out, "COUNT");
    redis_command_number(out, PAGE);
    if (reading->follow) {
        redis_command_text(out, "BLOCK");
        redis_command_number(out, WAIT_MS);
    }
    redis_command_text(out, "STREAMS");
    for (uint32_t s = 0; s < reading->address.stream_count; s++)
        if (!reading->streams[s].ended)
            redis_command_text(out, reading->streams[s].origin.topic);
    for (uint32_t s = 0; s < reading->address.stream_count; s++) {
        char id[REDIS_ID_MAX];
        (void)redis_id_format(reading->streams[s].last, id);
        if (!reading->streams[s].ended)
            redis_command_text(out, id);
    }
    return count;
}

static strid_status read_on(struct redis_reading *reading, strid_error *err)
{
    strid_status status = STRID_OK;
    while (status == STRID_OK && !reading->stopped && put_request(reading) > 0) {
        struct redisReply *reply = NULL;
        status = ask(reading, "XREAD", NULL, &reply, err);
        bool any = status == STRID_OK && reply->type == REDIS_REPLY_ARRAY;
        for (size_t i = 0; any && i < reply->elements && status == STRID_OK && !reading->stopped;
             i++)
            status = take_stream(reading, reply->element[i], err);
        redis_reply_free(reply);
        if (!any && !reading->follow)
            break;
        if (!reading->stopped && status == STRID_OK && (!any || reading->follow))
            reading->stopped = !reading->fn(reading->user, NULL);
    }
    return status;
}

static strid_status read_streams(struct redis_reading *reading, strid_error *err)
{
    STRID_TRY(redis_connection_open(&reading->connection, err));
    for (uint32_t s = 0; s < reading->address.stream_count; s++) {
        struct tapped *tapped = &reading->streams[s];
        tapped->origin =
            (strid_origin){.source = reading->address.shown, .topic = reading->address.streams[s]};
        STRID_TRY(check_stream(reading, tapped->origin.topic, err));
        STRID_TRY(find_start(reading, tapped->origin.topic, &tapped->last, err));
    }
    return read_on(reading, err);
}

strid_status redis_read(const strid_connector_args *args, const strid_read_range *range,
                        strid_read_fn fn, void *user, strid_error *err)
{
    struct redis_reading reading = {.options = args->options,
                                    .range = range,
                                    .fn = fn,
                                    .user = user,
                                    .follow = range->follow &&
                                              range->end_ms > clock_wall_ms(&clock_system)};
    STRID_TRY(redis_address_parse(&reading.address, args->scheme, args->target,
                                  &reading.options->server, err));
    reading.streams = memory_alloc_zeroed(reading.address.stream_count * sizeof *reading.streams);
    redis_connection_init(&reading.connection, &reading.address, args->pipeline);
    strid_status status = read_streams(&reading, err);
    redis_connection_fini(&reading.connection);
    redis_record_fini(&reading.record);
    buffer_fini(&reading.staged);
    memory_free(reading.streams);
    redis_address_fini(&reading.address);
    return status;
}
