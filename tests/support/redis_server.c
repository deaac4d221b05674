#include "support/redis_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TEXT_MAX = 32, START_TRIES = 5, READ_BYTES = 4096 };

static int connect_socket(const struct redis_server *redis)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(redis->socket) >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, redis->socket, strlen(redis->socket) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool send_all(int fd, strid_bytes bytes)
{
    size_t at = 0;
    while (at < bytes.len) {
        ssize_t put = send(fd, bytes.data + at, bytes.len - at, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        at += (size_t)put;
    }
    return true;
}

static void put_word(struct buffer *out, const char *word)
{
    buffer_printf(out, "$%zu\r\n%s\r\n", strlen(word), word);
}

/* The command and a QUIT behind it: the reply, of whatever shape, ends where the answer to QUIT and
 * the connection do. QUIT is answered while the server loads, too. */
static bool converse(int fd, struct buffer *reply, const char *const *words)
{
    static const char bye[] = "+OK\r\n";
    const size_t bye_len = sizeof bye - 1;
    struct buffer request = {0};
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    buffer_printf(&request, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++)
        put_word(&request, words[i]);
    buffer_printf(&request, "*1\r\n$4\r\nQUIT\r\n");
    bool ok = send_all(fd, buffer_bytes(&request));
    buffer_fini(&request);
    size_t begin = reply->len;
    ssize_t got = 0;
    while (ok && (got = recv(fd, buffer_reserve(reply, READ_BYTES), READ_BYTES, 0)) > 0)
        reply->len += (size_t)got;
    if (!ok || got < 0 || reply->len - begin < bye_len ||
        memcmp(reply->data + reply->len - bye_len, bye, bye_len) != 0)
        return false;
    reply->len -= bye_len;
    return true;
}

bool redis_server_ask(struct redis_server *redis, struct buffer *reply, const char *const *words)
{
    int fd = connect_socket(redis);
    if (fd < 0)
        return false;
    bool ok = converse(fd, reply, words);
    (void)close(fd);
    return ok;
}

/* Loading an append-only file takes a while, in which it answers with an error. */
static bool answers(void *user)
{
    struct buffer reply = {0};
    bool ok = redis_server_ask(user, &reply, (const char *const[]){"PING", NULL}) &&
              reply.len == 7 && memcmp(reply.data, "+PONG\r\n", 7) == 0;
    buffer_fini(&reply);
    return ok;
}

static void add_args(const char **args, const char *const *more)
{
    int count = 0;
    while (args[count] != NULL)
        count++;
    for (int i = 0; more != NULL && more[i] != NULL && count < SERVER_ARGS_MAX; i++)
        args[count++] = more[i];
}

static bool start(struct redis_server *redis)
{
    static const char *const fsync[] = {"no", "everysec", "always"};
    char port[TEXT_MAX], tls_port[TEXT_MAX];
    (void)snprintf(port, sizeof port, "%u", redis->port);
    (void)snprintf(tls_port, sizeof tls_port, "%u", redis->tls_port);
    const bool append = redis->options.append != REDIS_SERVER_APPEND_NO;
    const char *args[SERVER_ARGS_MAX + 1] = {"redis-server",
                                             "--port",
                                             port,
                                             "--bind",
                                             "127.0.0.1",
                                             "--unixsocket",
                                             redis->socket,
                                             "--dir",
                                             redis->directory.path,
                                             "--save",
                                             "",
                                             "--appendonly",
                                             append ? "yes" : "no",
                                             "--appendfsync",
                                             fsync[redis->options.append]};
    if (redis->options.has_tls)
        add_args(args, (const char *const[]){"--tls-port", tls_port, "--tls-cert-file", redis->cert,
                                             "--tls-key-file", redis->key, "--tls-ca-cert-file",
                                             redis->cert, "--tls-auth-clients", "no", NULL});
    add_args(args, redis->options.args);
    server_start(&redis->process, args);
    return server_wait(&redis->process, answers, redis);
}

static void give_up(struct redis_server *redis)
{
    char *log = support_read_file(redis->process.log, NULL);
    fprintf(stderr, "redis_server: it does not answer; its log:\n%s\n", log == NULL ? "" : log);
    free(log);
    redis_server_remove(redis);
    exit(EXIT_FAILURE);
}

static void make_certificate(struct redis_server *redis)
{
    char command[2 * SUPPORT_PATH_MAX + 256];
    support_path(&redis->directory, "cert.pem", redis->cert);
    support_path(&redis->directory, "key.pem", redis->key);
    (void)snprintf(command, sizeof command,
                   "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                   "-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout %s -out %s "
                   ">/dev/null 2>&1",
                   redis->key, redis->cert);
    if (system(command) != 0)
        give_up(redis);
}

void redis_server_start(struct redis_server *redis, const struct redis_server_options *options)
{
    *redis = (struct redis_server){.options = *options};
    support_directory_create(&redis->directory);
    support_path(&redis->directory, "redis.sock", redis->socket);
    support_path(&redis->directory, "redis.log", redis->process.log);
    if (options->has_tls)
        make_certificate(redis);
    for (int i = 0; i < START_TRIES; i++) { /* its ports may be taken meanwhile */
        redis->port = server_free_port();
        redis->tls_port = options->has_tls ? server_free_port() : 0;
        if (start(redis))
            return;
        server_kill(&redis->process);
    }
    give_up(redis);
}

void redis_server_restart(struct redis_server *redis)
{
    if (!start(redis))
        give_up(redis);
}

void redis_server_remove(struct redis_server *redis)
{
    if (redis->process.pid != 0)
        server_kill(&redis->process);
    support_directory_remove(&redis->directory);
}
