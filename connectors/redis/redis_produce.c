/* Commands wait in memory until there are enough of them; then all are sent and every answer is
 * awaited. One that the server refuses is told and the others stand. A connection that breaks
 * leaves it open which of them were taken, so nothing is sent again. @thread the producer's */
#include "redis_produce.h"

#include "base/clock.h"
#include "base/error.h"

#include "redis_connection.h"
#include "redis_entry.h"

#include <inttypes.h>

#define COMPONENT "redis"

enum { SETTLE_RECORDS = 10000, SETTLE_BYTES = 4 << 20 };

struct redis_produce {
    const struct redis_sink_options *options;
    strid_refused_fn refused;
    void *user;
    struct redis_address address;
    struct redis_connection connection;
    struct buffer fields;
    struct buffer numbers; /* uint64_t, of what waits in the connection's `out` */
};

static struct redis_produce *of(strid_sink *self) { return (struct redis_produce *)self; }

static void produce_close(strid_sink *self)
{
    struct redis_produce *produce = of(self);
    redis_connection_fini(&produce->connection);
    redis_address_fini(&produce->address);
    buffer_fini(&produce->fields);
    buffer_fini(&produce->numbers);
}

static strid_status open_scheme(struct redis_produce *produce, const char *scheme,
                                const strid_connector_args *args, strid_error *err)
{
    produce->options = args->options;
    if (produce->options->field[0] == '\0')
        return error_set(err, STRID_ECONFIG, COMPONENT, "\"field\" is empty: name a field");
    STRID_TRY(redis_address_parse(&produce->address, scheme, args->target,
                                  &produce->options->server, err));
    redis_connection_init(&produce->connection, &produce->address, args->pipeline);
    strid_status status = STRID_OK;
    if (produce->address.stream_count > 1)
        status = error_set(err, STRID_ECONFIG, COMPONENT,
                           "records go to one stream: write %%2C for a comma in its name");
    if (status == STRID_OK)
        status = redis_connection_open(&produce->connection, err);
    if (status != STRID_OK)
        produce_close((strid_sink *)produce);
    return status;
}

static strid_status produce_open(strid_sink *self, const strid_connector_args *args,
                                 strid_refused_fn refused, void *user, strid_error *err)
{
    of(self)->refused = refused;
    of(self)->user = user;
    return open_scheme(of(self), "redis", args, err);
}

static strid_status produce_open_tls(strid_sink *self, const strid_connector_args *args,
                                     strid_refused_fn refused, void *user, strid_error *err)
{
    of(self)->refused = refused;
    of(self)->user = user;
    return open_scheme(of(self), "rediss", args, err);
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

static strid_status produce_settle(strid_sink *self, strid_error *err)
{
    struct redis_produce *produce = of(self);
    const uint64_t *numbers = (const uint64_t *)(const void *)produce->numbers.data;
    size_t count = produce->numbers.len / sizeof *numbers;
    strid_status status = STRID_OK;
    for (size_t i = 0; i < count && status == STRID_OK; i++) {
        struct redisReply *reply = NULL;
        status = redis_connection_next(&produce->connection, &reply, err);
        if (status == STRID_OK)
            take_answer(produce, reply, numbers[i]);
        else
            (void)error_wrap(err, status,
                             "stream %s: of the last %zu records %zu were added and it is not "
                             "known how many of the others",
                             produce->address.stream, count, i);
        redis_reply_free(reply);
    }
    buffer_clear(&produce->numbers);
    return status;
}

static strid_status produce_send(strid_sink *self, const strid_output *output, uint64_t number,
                                 strid_error *err)
{
    struct redis_produce *produce = of(self);
    struct buffer *out = &produce->connection.out;
    STRID_TRY(redis_connection_open(&produce->connection, err));
    redis_entry_put(out, &produce->fields, produce->address.stream, produce->options,
                    clock_wall_ms(&clock_system), output);
    buffer_put(&produce->numbers, &number, sizeof number);
    if (produce->numbers.len < SETTLE_RECORDS * sizeof number && out->len < SETTLE_BYTES)
        return STRID_OK;
    return produce_settle(self, err);
}

const strid_produce_ops redis_produce_ops = {
    .instance_size = sizeof(struct redis_produce),
    .open = produce_open,
    .send = produce_send,
    .settle = produce_settle,
    .close = produce_close,
};

const strid_produce_ops redis_produce_tls_ops = {
    .instance_size = sizeof(struct redis_produce),
    .open = produce_open_tls,
    .send = produce_send,
    .settle = produce_settle,
    .close = produce_close,
};
