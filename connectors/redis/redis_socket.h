/* A non-blocking socket to a server: TCP, TLS over TCP, or Unix. No write raises SIGPIPE. @thread
 * the owner */
#ifndef REDIS_SOCKET_H
#define REDIS_SOCKET_H

#include <stdbool.h>

#include "redis_address.h"

struct redis_tls;

struct redis_socket {
    int fd; /* valid between open and close */
    struct redis_tls *tls;
};

/* Blocks until connected (all addresses of the host are tried), at most timeout_ms of the
 * configuration for looking the host up and for each address. On failure nothing is left open. */
strid_status redis_socket_open(struct redis_socket *socket, const struct redis_address *address,
                               strid_error *err);
void redis_socket_close(struct redis_socket *socket);

/* Move what can be moved now; STRID_AGAIN: nothing. An ended connection is STRID_EUNREACHABLE. */
strid_status redis_socket_send(struct redis_socket *socket, const void *data, size_t len,
                               size_t *sent, strid_error *err);
strid_status redis_socket_receive(struct redis_socket *socket, void *data, size_t room,
                                  size_t *received, strid_error *err);

/* Waits until something can be received, or sent where asked for; false: not within timeout_ms. */
bool redis_socket_wait(const struct redis_socket *socket, bool to_send, int64_t timeout_ms);

#endif
