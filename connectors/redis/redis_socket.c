#include "redis_socket.h"

#include "base/clock.h"
#include "base/error.h"

#include "redis_lookup.h"
#include "redis_tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define COMPONENT "redis"

enum { SOCKET_FLAGS = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK };

static strid_status unreachable(const char *shown, const char *what, int errno_value,
                                strid_error *err)
{
    (void)error_set_errno(err, errno_value, COMPONENT, "%s: %s", shown, what);
    if (err == NULL)
        return STRID_EUNREACHABLE;
    err->flags |= STRID_ERROR_RETRIABLE;
    return err->status = STRID_EUNREACHABLE;
}

static bool wait_events(int fd, short events, int64_t timeout_ms)
{
    int64_t end_ns = clock_monotonic_ns(&clock_system) + timeout_ms * 1000000;
    for (;;) {
        struct pollfd at = {.fd = fd, .events = events};
        int ready = poll(&at, 1, (int)timeout_ms);
        if (ready >= 0 || errno != EINTR)
            return ready != 0;
        timeout_ms = (end_ns - clock_monotonic_ns(&clock_system)) / 1000000;
        if (timeout_ms < 0)
            return false;
    }
}

/* The connected socket, or -1 with errno. */
static int connect_to(int family, const void *name, socklen_t len, int64_t timeout_ms)
{
    int fd = socket(family, SOCKET_FLAGS, 0);
    if (fd < 0)
        return -1;
    int failure = connect(fd, name, len) == 0 ? 0 : errno;
    if (failure == EINPROGRESS) {
        socklen_t size = sizeof failure;
        if (!wait_events(fd, POLLOUT, timeout_ms))
            failure = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
            failure = errno;
    }
    if (failure == 0)
        return fd;
    (void)close(fd);
    errno = failure;
    return -1;
}

static int open_unix(const char *path, int64_t timeout_ms)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof name.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name.sun_path, path, len);
    return connect_to(AF_UNIX, &name, sizeof name, timeout_ms);
}

static void set_option(int fd, int level, int option)
{
    int on = 1;
    (void)setsockopt(fd, level, option, &on, sizeof on); /* without it, it still works */
}

static strid_status open_tcp(struct redis_socket *socket, const struct redis_address *address,
                             strid_error *err)
{
    struct addrinfo *found = NULL;
    const char *failure =
        redis_lookup(address->host, address->port, address->config->timeout_ms, &found);
    if (failure != NULL) {
        (void)error_set(err, STRID_EUNREACHABLE, COMPONENT, "%s: the host was not found: %s",
                        address->shown, failure);
        if (err != NULL)
            err->flags |= STRID_ERROR_RETRIABLE;
        return STRID_EUNREACHABLE;
    }
    int reason = 0;
    for (const struct addrinfo *at = found; at != NULL && socket->fd < 0; at = at->ai_next) {
        socket->fd =
            connect_to(at->ai_family, at->ai_addr, at->ai_addrlen, address->config->timeout_ms);
        reason = errno;
    }
    freeaddrinfo(found);
    if (socket->fd < 0)
        return unreachable(address->shown, "no connection", reason, err);
    set_option(socket->fd, IPPROTO_TCP, TCP_NODELAY);
    set_option(socket->fd, SOL_SOCKET, SO_KEEPALIVE);
    return STRID_OK;
}

static strid_status shake_hands(struct redis_socket *socket, const struct redis_address *address,
                                strid_error *err)
{
    strid_status status = STRID_OK;
    socket->tls = redis_tls_create(socket->fd, address, err);
    if (socket->tls == NULL)
        return err == NULL ? STRID_ECONFIG : err->status;
    while ((status = redis_tls_handshake(socket->tls, err)) == STRID_AGAIN) {
        short events = redis_tls_wants_write(socket->tls) ? POLLOUT : POLLIN;
        if (!wait_events(socket->fd, events, address->config->timeout_ms))
            return unreachable(address->shown, "TLS handshake", ETIMEDOUT, err);
    }
    return status;
}

strid_status redis_socket_open(struct redis_socket *socket, const struct redis_address *address,
                               strid_error *err)
{
    const struct redis_server_config *config = address->config;
    strid_status status = STRID_OK;
    *socket = (struct redis_socket){.fd = -1};
    if (config->socket == NULL) {
        status = open_tcp(socket, address, err);
    } else {
        socket->fd = open_unix(config->socket, config->timeout_ms);
        if (socket->fd < 0)
            status = unreachable(address->shown, "no connection", errno, err);
    }
    if (status == STRID_OK && address->is_tls)
        status = shake_hands(socket, address, err);
    if (status != STRID_OK)
        redis_socket_close(socket);
    return status;
}

void redis_socket_close(struct redis_socket *socket)
{
    redis_tls_destroy(socket->tls);
    if (socket->fd >= 0)
        (void)close(socket->fd);
    *socket = (struct redis_socket){.fd = -1};
}

strid_status redis_socket_send(struct redis_socket *socket, const void *data, size_t len,
                               size_t *sent, strid_error *err)
{
    *sent = 0;
    if (socket->tls != NULL)
        return redis_tls_send(socket->tls, data, len, sent, err);
    ssize_t count = send(socket->fd, data, len, MSG_NOSIGNAL);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR
                   ? STRID_AGAIN
                   : unreachable("the connection", "sending failed", errno, err);
    *sent = (size_t)count;
    return STRID_OK;
}

strid_status redis_socket_receive(struct redis_socket *socket, void *data, size_t room,
                                  size_t *received, strid_error *err)
{
    *received = 0;
    if (socket->tls != NULL)
        return redis_tls_receive(socket->tls, data, room, received, err);
    ssize_t count = recv(socket->fd, data, room, 0);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR
                   ? STRID_AGAIN
                   : unreachable("the connection", "receiving failed", errno, err);
    if (count == 0)
        return unreachable("the connection", "the server ended it", ECONNRESET, err);
    *received = (size_t)count;
    return STRID_OK;
}

bool redis_socket_wait(const struct redis_socket *socket, bool to_send, int64_t timeout_ms)
{
    if (socket->tls != NULL && redis_tls_has_pending(socket->tls))
        return true;
    bool sends = to_send || (socket->tls != NULL && redis_tls_wants_write(socket->tls));
    return wait_events(socket->fd, (short)(POLLIN | (sends ? POLLOUT : 0)), timeout_ms);
}
