/* The Redis sinks. Outputs wait in memory as commands until a flush sends them all and awaits every
 * answer, so that nothing arrives of what is offered again only because it was not flushed. A flush
 * that failed midway may have put some of them there: repeats carry the same id. */
#include "redis_sink.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include "redis_browse.h"
#include "redis_connection.h"
#include "redis_entry.h"
#include "redis_list.h"
#include "redis_move.h"
#include "redis_produce.h"
#include "redis_reply.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>

#define COMPONENT "redis"

struct redis_sink {
    const struct redis_sink_options *options;
    struct redis_address address;
    struct redis_connection connection;
    const struct log *log;
    struct buffer commands;
    struct redis_entry_room room;
    uint64_t waiting;       /* how many commands */
    uint64_t unanswered;    /* replies that nobody could be given */
    uint64_t settled;       /* dead letters whose entries were no longer pending */
    uint64_t others;        /* and those whose entries were another consumer's */
    struct buffer declined; /* uint32_t: those of the last flush */
};

static struct redis_sink *of(strid_sink *self) { return (struct redis_sink *)self; }

static void drop_waiting(struct redis_sink *sink)
{
    buffer_clear(&sink->commands);
    sink->waiting = 0;
}

static void sink_close(strid_sink *self)
{
    struct redis_sink *sink = of(self);
    redis_connection_fini(&sink->connection);
    redis_address_fini(&sink->address);
    buffer_fini(&sink->commands);
    buffer_fini(&sink->declined);
    redis_entry_room_fini(&sink->room);
    sink->waiting = 0;
}

static strid_status check_options(const struct redis_sink_options *options, strid_error *err)
{
    if (options->maxlen > 0 && options->keep_ms > 0)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "a stream is trimmed by \"maxlen\" or by \"keep\", not by both");
    if (options->mode == REDIS_MODE_REPLY && (options->maxlen > 0 || options->keep_ms > 0))
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "replies go to lists, which have a \"ttl\": take \"maxlen\" and \"keep\" "
                         "away, or mode=reply");
    if (options->mode == REDIS_MODE_REPLY && options->flat)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "replies go to lists, which have no fields: take \"flat\" away, or "
                         "mode=reply");
    if (options->mode == REDIS_MODE_REPLY && options->move_from != NULL)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "dead letters go to a stream: take \"move_from\" away, or mode=reply");
    if (options->field[0] == '\0')
        return error_set(err, STRID_ECONFIG, COMPONENT, "\"field\" is empty: name a field");
    return STRID_OK;
}

static strid_status parse(const strid_connector_args *args, struct redis_address *address,
                          strid_error *err)
{
    const struct redis_sink_options *options = args->options;
    STRID_TRY(check_options(options, err));
    STRID_TRY(redis_address_parse(address, args->scheme, args->target, &options->server, err));
    if (address->stream_count == 1)
        return STRID_OK;
    redis_address_fini(address);
    return error_set(err, STRID_ECONFIG, COMPONENT,
                     "a sink writes to one stream: write %%2C for a comma in its name");
}

static strid_status sink_check(const strid_connector_args *args, strid_error *err)
{
    struct redis_address address = {.config = NULL};
    strid_status status = parse(args, &address, err);
    redis_address_fini(&address);
    return status;
}

static strid_status sink_open(strid_sink *self, const strid_connector_args *args, strid_error *err)
{
    struct redis_sink *sink = of(self);
    sink->options = args->options;
    sink->log = args->log;
    STRID_TRY(parse(args, &sink->address, err));
    redis_connection_init(&sink->connection, &sink->address, args->pipeline);
    strid_status status = redis_connection_open(&sink->connection, err);
    if (status != STRID_OK)
        sink_close(self);
    return status;
}

/* The first one says why, and where it goes on. */
static void tell_unanswered(struct redis_sink *sink, const char *why)
{
    if (sink->unanswered++ == 0)
        log_warn(sink->log, COMPONENT,
                 "replies %s... of %s: %s; that one and others like it are let go of",
                 sink->address.stream, sink->address.shown, why);
}

static strid_status write_answers(struct redis_sink *sink, const strid_output *outputs,
                                  uint32_t count, strid_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (outputs[i].dead_letter != NULL) {
            drop_waiting(sink);
            return error_set(err, STRID_ECONFIG, COMPONENT,
                             "dead letters go to a stream: take mode=reply away");
        }
        if (!redis_list_is_addressed(&outputs[i])) {
            tell_unanswered(sink, "an output has no key, which would name its list");
            continue;
        }
        redis_list_put(&sink->commands, sink->address.stream, sink->options, &outputs[i]);
        sink->waiting++;
    }
    return STRID_OK;
}

static strid_status sink_write(strid_sink *self, const strid_output *outputs, uint32_t count,
                               strid_error *err)
{
    struct redis_sink *sink = of(self);
    int64_t now_ms = clock_wall_ms(&clock_system);
    if (sink->options->mode == REDIS_MODE_REPLY)
        return write_answers(sink, outputs, count, err);
    for (uint32_t i = 0; i < count; i++)
        redis_entry_put(&sink->commands, &sink->room, sink->address.stream, sink->options, now_ms,
                        &outputs[i]);
    sink->waiting += count;
    return STRID_OK;
}

static void count_unmoved(struct redis_sink *sink, uint32_t number, long long answer)
{
    if (answer == REDIS_MOVE_OTHERS) {
        sink->others++;
        buffer_put(&sink->declined, &number, sizeof number);
    } else {
        sink->settled++;
    }
}

/* Who asks chooses the list's name: one that is something else holds up nobody but him. */
static strid_status take_answer(struct redis_sink *sink, uint32_t number,
                                const struct redisReply *reply, strid_error *err)
{
    if (sink->options->mode != REDIS_MODE_REPLY) {
        if (reply->type == REDIS_REPLY_INTEGER) /* an entry's ID is a text */
            count_unmoved(sink, number, reply->integer);
        return redis_reply_check(reply, "XADD", err);
    }
    if (!redis_list_is_refused(reply))
        return redis_reply_check(reply, "RPUSH", err);
    tell_unanswered(sink, "a key that is no list has the name of one");
    return STRID_OK;
}

static void tell_unmoved(struct redis_sink *sink, uint64_t more, uint64_t total, const char *why)
{
    if (more > 0)
        log_warn(sink->log, COMPONENT,
                 "stream %s of %s: %" PRIu64 " dead letters were not added (%" PRIu64 " so far): "
                 "in group %s their entries %s",
                 sink->address.stream, sink->address.shown, more, total, sink->options->move_from,
                 why);
}

/* An answer that is an error is the first of possibly many: the connection is given up, rather than
 * the rest awaited. */
static strid_status take_answers(struct redis_sink *sink, strid_error *err)
{
    strid_status status = STRID_OK;
    const uint64_t settled = sink->settled, others = sink->others;
    for (uint64_t i = 0; i < sink->waiting && status == STRID_OK; i++) {
        struct redisReply *reply = NULL;
        STRID_TRY(redis_connection_next(&sink->connection, &reply, err));
        status = take_answer(sink, (uint32_t)i, reply, err);
        redis_reply_free(reply);
    }
    tell_unmoved(sink, sink->settled - settled, sink->settled,
                 "are no longer pending, since they were moved before or another consumer settled "
                 "them");
    tell_unmoved(sink, sink->others - others, sink->others,
                 "are another consumer's by now, which handles them");
    if (status != STRID_OK) {
        (void)error_wrap(err, status, "stream %s of %s", sink->address.stream, sink->address.shown);
        redis_connection_close(&sink->connection);
    }
    return status;
}

static strid_status sink_flush(strid_sink *self, strid_error *err)
{
    struct redis_sink *sink = of(self);
    buffer_clear(&sink->declined);
    if (sink->waiting == 0)
        return STRID_OK;
    strid_status status = redis_connection_open(&sink->connection, err);
    if (status == STRID_OK) {
        buffer_put_bytes(&sink->connection.out, buffer_bytes(&sink->commands));
        status = take_answers(sink, err);
    }
    drop_waiting(sink); /* all of it is offered again where the flush failed */
    return status;
}

static const uint32_t *sink_declined(strid_sink *self, uint32_t *count)
{
    const struct buffer *declined = &of(self)->declined;
    *count = (uint32_t)(declined->len / sizeof(uint32_t));
    return (const uint32_t *)(const void *)declined->data;
}

#define REDIS_SINK_OPS(scheme, how)                                                                \
    {                                                                                              \
        .abi_version = STRID_SINK_ABI_VERSION, .flags = 0, .name = scheme,                         \
        .summary = "Adds entries to a stream of Redis or Valkey" how,                              \
        .options = redis_sink_config, .options_size = sizeof(struct redis_sink_options),           \
        .instance_size = sizeof(struct redis_sink), .open = sink_open, .write = sink_write,        \
        .flush = sink_flush, .close = sink_close, .browse = redis_browse, .purge = redis_purge,    \
        .produce = &redis_produce_ops, .declined = sink_declined, .check = sink_check              \
    }

const strid_sink_ops redis_sink_ops = REDIS_SINK_OPS("redis", "");
const strid_sink_ops redis_sink_tls_ops = REDIS_SINK_OPS("rediss", ", over TLS");
const strid_sink_ops redis_sink_sentinel_ops =
    REDIS_SINK_OPS("redis+sentinel", ", at the master that sentinels name");
const strid_sink_ops redis_sink_sentinel_tls_ops =
    REDIS_SINK_OPS("rediss+sentinel", ", at the master that sentinels name, over TLS");
