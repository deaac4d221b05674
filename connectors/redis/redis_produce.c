/* Commands are sent a few at a time and their answers taken while further records are made; only
 * where too many are under way is an answer waited for. One that the server refuses is told and the
 * others stand. A connection that breaks leaves it open which of them were taken, so nothing is
 * sent again. @thread the producer's */
#include "redis_produce.h"

#include "base/clock.h"
#include "base/error.h"

#include "redis_connection.h"
#include "redis_entry.h"

#include <inttypes.h>
#include <string.h>

#define COMPONENT "redis"

enum {
    SEND_BYTES = 32 << 10, /* are sent together */
    OUT_MAX = 4 << 20,     /* bytes of commands that are kept, sent or not */
    UNDER_WAY_MAX = 10000  /* records without an answer */
};

struct redis_produce {
    const struct redis_sink_options *options;
    strid_refused_fn refused;
    void *user;
    struct redis_address address;
    struct redis_connection connection;
    struct redis_entry_room room;
    struct buffer numbers; /* uint64_t, of what was sent */
    size_t answered;       /* how many of them, the oldest first */
    size_t move_at;        /* bytes of the connection's `out` */
};

static struct redis_produce *of(strid_sink *self) { return (struct redis_produce *)self; }

static void produce_close(strid_sink *self)
{
    struct redis_produce *produce = of(self);
    redis_connection_fini(&produce->connection);
    redis_address_fini(&produce->address);
    redis_entry_room_fini(&produce->room);
    buffer_fini(&produce->numbers);
}

static strid_status produce_open(strid_sink *self, const strid_connector_args *args,
                                 strid_refused_fn refused, void *user, strid_error *err)
{
    struct redis_produce *produce = of(self);
    produce->refused = refused;
    produce->user = user;
    produce->options = args->options;
    produce->move_at = SEND_BYTES;
    if (produce->options->mode != REDIS_MODE_STREAM)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "records go to a stream: take mode=reply away");
    if (produce->options->field[0] == '\0')
        return error_set(err, STRID_ECONFIG, COMPONENT, "\"field\" is empty: name a field");
    STRID_TRY(redis_address_parse(&produce->address, args->scheme, args->target,
                                  &produce->options->server, err));
    redis_connection_init(&produce->connection, &produce->address, args->pipeline);
    strid_status status = STRID_OK;
    if (produce->address.stream_count > 1)
        status = error_set(err, STRID_ECONFIG, COMPONENT,
                           "records go to one stream: write %%2C for a comma in its name");
    if (status == STRID_OK)
        status = redis_connection_open(&produce->connection, err);
    if (status != STRID_OK)
        produce_close(self);
    return status;
}

static void take_answer(struct redis_produce *produce, const struct redisReply *reply,
                        uint64_t number)
{
    strid_error why = STRID_ERROR_INIT;
    strid_status status = redis_reply_check(reply, "XADD", &why);
    if (status == STRID_OK || produce->refused == NULL)
        return;
    (void)error_wrap(&why, status, "stream %s of %s", produce->address.stream,
                     produce->address.shown);
    produce->refused(produce->user, number, &why);
}

static size_t count_numbers(const struct redis_produce *produce)
{
    return produce->numbers.len / sizeof(uint64_t);
}

static void forget_numbers(struct redis_produce *produce)
{
    buffer_clear(&produce->numbers);
    produce->answered = 0;
    produce->move_at = SEND_BYTES;
}

/* The connection is closed, and with it goes what was under way. */
static strid_status fail(struct redis_produce *produce, strid_status status, strid_error *err)
{
    (void)error_wrap(err, status,
                     "stream %s: of the last %zu records %zu were added and it is not known how "
                     "many of the others",
                     produce->address.stream, count_numbers(produce), produce->answered);
    forget_numbers(produce);
    return status;
}

static void take_next(struct redis_produce *produce, struct redisReply *reply)
{
    uint64_t number = 0;
    memcpy(&number, produce->numbers.data + produce->answered * sizeof number, sizeof number);
    produce->answered++;
    take_answer(produce, reply, number);
    redis_reply_free(reply);
}

/* Waits until at most `left` are without an answer. */
static strid_status await(struct redis_produce *produce, size_t left, strid_error *err)
{
    while (count_numbers(produce) - produce->answered > left) {
        struct redisReply *reply = NULL;
        strid_status status = redis_connection_next(&produce->connection, &reply, err);
        if (status != STRID_OK)
            return fail(produce, status, err);
        take_next(produce, reply);
    }
    produce->move_at = produce->connection.out.len + SEND_BYTES;
    return STRID_OK;
}

/* Sends what the socket takes and looks which answers are there, so that the server works while
 * further records are made. */
static strid_status move(struct redis_produce *produce, strid_error *err)
{
    struct redisReply *reply = NULL;
    strid_status status = STRID_OK;
    while (count_numbers(produce) > produce->answered && status == STRID_OK) {
        status = redis_connection_poll(&produce->connection, &reply, err);
        if (status == STRID_OK)
            take_next(produce, reply);
    }
    if (status != STRID_OK && status != STRID_AGAIN)
        return fail(produce, status, err);
    produce->move_at = produce->connection.out.len + SEND_BYTES;
    return STRID_OK;
}

/* Room for the numbers of those that are under way, not of all that ever were. */
static void drop_answered(struct redis_produce *produce)
{
    struct buffer *numbers = &produce->numbers;
    size_t done = produce->answered * sizeof(uint64_t);
    if (produce->answered < UNDER_WAY_MAX)
        return;
    memmove(numbers->data, numbers->data + done, numbers->len - done);
    numbers->len -= done;
    produce->answered = 0;
}

static strid_status produce_settle(strid_sink *self, strid_error *err)
{
    struct redis_produce *produce = of(self);
    STRID_TRY(await(produce, 0, err));
    forget_numbers(produce);
    return STRID_OK;
}

static strid_status produce_send(strid_sink *self, const strid_output *output, uint64_t number,
                                 strid_error *err)
{
    struct redis_produce *produce = of(self);
    struct buffer *out = &produce->connection.out;
    if (!produce->connection.is_open || count_numbers(produce) == produce->answered)
        STRID_TRY(redis_connection_open(&produce->connection, err));
    redis_entry_put(out, &produce->room, produce->address.stream, produce->options,
                    clock_wall_ms(&clock_system), output);
    buffer_put(&produce->numbers, &number, sizeof number);
    if (out->len >= produce->move_at)
        STRID_TRY(move(produce, err));
    if (out->len >= OUT_MAX)
        STRID_TRY(await(produce, 0, err));
    else if (count_numbers(produce) - produce->answered >= UNDER_WAY_MAX)
        STRID_TRY(await(produce, UNDER_WAY_MAX / 2, err));
    drop_answered(produce);
    return STRID_OK;
}

const strid_produce_ops redis_produce_ops = {
    .instance_size = sizeof(struct redis_produce),
    .open = produce_open,
    .send = produce_send,
    .settle = produce_settle,
    .close = produce_close,
};
