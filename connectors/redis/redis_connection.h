/* One connection to a server, on which commands are pipelined: put into `out`, sent as the socket
 * takes them, answered in order. It logs in, and comes back with backoff and jitter. Any failure
 * closes it, since nobody knows then which reply belongs to what; what was under way may or may not
 * have happened. Where the address names sentinels they are asked for the master each time that it
 * is opened, and the server has to call itself one; while it is used they are asked again now and
 * then, and it fails where they name another one. @thread the owner */
#ifndef REDIS_CONNECTION_H
#define REDIS_CONNECTION_H

#include "base/buffer.h"

#include "redis_address.h"
#include "redis_reply.h"
#include "redis_sentinel.h"
#include "redis_socket.h"
#include "redis_watch.h"

struct redis_connection {
    const struct redis_address *address;
    char *name;                          /* for CLIENT SETNAME */
    struct redis_sentinel_master master; /* where it was found last, if there are sentinels */
    struct redis_watch *watch;           /* NULL: there are none, or it was never open */
    struct redis_socket socket;
    struct redis_replies replies;
    struct buffer out; /* commands, of which `sent` bytes have gone */
    size_t sent;
    uint8_t *in;
    bool is_open;
    uint64_t moves; /* polls that sent or received something */
    struct {
        uint32_t failures; /* since it was last healthy */
        int64_t due_ns;
        int64_t opened_ns;
        uint64_t random;
        strid_error last;
    } retry;
};

/* `address` has to outlive the connection. */
void redis_connection_init(struct redis_connection *connection, const struct redis_address *address,
                           const char *name);
void redis_connection_fini(struct redis_connection *connection); /* safe on a zeroed struct */

/* Connects and logs in, unless it is open. With sentinels it is opened anew where they name another
 * server by now, so nothing should be under way. Before the backoff is over: the last error again.
 */
strid_status redis_connection_open(struct redis_connection *connection, strid_error *err);
/* Closes it for what a server answered, as a failure of the connection does: opened again after
 * backoff. Returns `status`. */
strid_status redis_connection_fail(struct redis_connection *connection, strid_status status,
                                   strid_error *err);
void redis_connection_close(struct redis_connection *connection); /* idempotent */
/* Milliseconds until redis_connection_open would try again. */
int64_t redis_connection_wait_ms(const struct redis_connection *connection);

/* Sends what waits in `out`, as far as the system takes it now. For what has to leave before
 * something else is done. */
strid_status redis_connection_send(struct redis_connection *connection, strid_error *err);
/* The next reply, while what waits in `out` is sent; the caller frees it with redis_reply_free.
 * _poll never blocks (STRID_AGAIN: none yet); _next waits until nothing has moved for the
 * configured timeout. An error that the server answers is a reply. */
strid_status redis_connection_poll(struct redis_connection *connection, struct redisReply **out,
                                   strid_error *err);
strid_status redis_connection_next(struct redis_connection *connection, struct redisReply **out,
                                   strid_error *err);

#endif
