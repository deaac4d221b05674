#include "redis_host.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "raw/keys.h"

enum { TRIES = 500, BETWEEN_TRIES_NS = 10000000, PIPELINED = 1000, VALUE_MAX = 4096 };

static redisContext *open_socket(const struct redis_host *host)
{
    redisContext *context = redisConnectUnix(host->socket);
    if (context != NULL && context->err == 0)
        return context;
    if (context != NULL)
        redisFree(context);
    return NULL;
}

uint16_t redis_host_find_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool found = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                 getsockname(fd, (struct sockaddr *)&address, &len) == 0;
    if (fd >= 0)
        (void)close(fd);
    return found ? ntohs(address.sin_port) : 0;
}

static void become_server(const struct redis_host *host, const char *directory)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (freopen("/dev/null", "w", stdout) == NULL)
        _exit(127);
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)host->port);
    (void)execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1",
                 "--unixsocket", host->socket, "--dir", directory, "--save", "", "--appendonly",
                 "no", (char *)NULL);
    _exit(127);
}

int redis_host_start(struct redis_host *host, const char *directory)
{
    (void)snprintf(host->socket, sizeof host->socket, "%s/redis.sock", directory);
    host->pid = fork();
    if (host->pid == 0)
        become_server(host, directory);
    for (int i = 0; i < TRIES && host->pid > 0; i++) {
        redisContext *context = open_socket(host);
        if (context != NULL) {
            redisFree(context);
            return 0;
        }
        if (waitpid(host->pid, NULL, WNOHANG) == host->pid) {
            host->pid = 0;
            return measure_failed("redis-server", "does not start: is it installed?");
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = BETWEEN_TRIES_NS}, NULL);
    }
    redis_host_stop(host);
    return measure_failed("redis-server", "does not answer");
}

void redis_host_stop(struct redis_host *host)
{
    if (host->pid <= 0)
        return;
    (void)kill(host->pid, SIGKILL);
    (void)waitpid(host->pid, NULL, 0);
    host->pid = 0;
}

/* Takes `count` answers; -1: one was an error. */
static int take_answers(redisContext *context, uint64_t count)
{
    int result = 0;
    for (uint64_t i = 0; i < count; i++) {
        void *answer = NULL;
        if (redisGetReply(context, &answer) != REDIS_OK)
            return measure_failed("redis-server", context->errstr);
        const redisReply *reply = answer;
        if (reply->type == REDIS_REPLY_ERROR)
            result = measure_failed("redis-server", reply->str);
        freeReplyObject(answer);
    }
    return result;
}

int redis_host_fill(const struct redis_host *host, uint64_t entries, uint64_t key_count,
                    uint32_t value_bytes)
{
    char value[VALUE_MAX];
    struct keys keys;
    redisContext *context = open_socket(host);
    if (context == NULL)
        return measure_failed("redis-server", "does not answer");
    keys_init(&keys, 3, key_count, false);
    uint32_t len = value_bytes < VALUE_MAX ? value_bytes : VALUE_MAX;
    memset(value, 'v', len);
    int result = 0;
    for (uint64_t i = 0; i < entries && result == 0;) {
        uint64_t more = entries - i < PIPELINED ? entries - i : PIPELINED;
        for (uint64_t k = 0; k < more; k++, i++)
            (void)redisAppendCommand(context, "XADD bench * k c%011" PRIu64 " v %b",
                                     keys_next(&keys), value, (size_t)len);
        result = take_answers(context, more);
    }
    redisFree(context);
    return result;
}

int redis_host_rewind(const struct redis_host *host)
{
    redisContext *context = open_socket(host);
    if (context == NULL)
        return measure_failed("redis-server", "does not answer");
    (void)redisAppendCommand(context, "XGROUP DESTROY bench g");
    (void)redisAppendCommand(context, "XGROUP CREATE bench g 0");
    int result = take_answers(context, 2);
    redisFree(context);
    return result;
}

/* XINFO GROUPS: name, consumers, pending, last-delivered-id, entries-read, lag, as pairs. */
static long long figure_of(const redisReply *groups, const char *name)
{
    const redisReply *group = groups->elements == 1 ? groups->element[0] : NULL;
    for (size_t i = 0; group != NULL && i + 1 < group->elements; i += 2)
        if (strcmp(group->element[i]->str, name) == 0)
            return group->element[i + 1]->integer;
    return -1;
}

int redis_host_check(const struct redis_host *host, const char *what, uint64_t entries)
{
    redisContext *context = open_socket(host);
    if (context == NULL)
        return measure_failed("redis-server", "does not answer");
    redisReply *groups = redisCommand(context, "XINFO GROUPS bench");
    bool is_done = groups != NULL && groups->type == REDIS_REPLY_ARRAY &&
                   figure_of(groups, "pending") == 0 &&
                   figure_of(groups, "entries-read") == (long long)entries;
    if (groups != NULL)
        freeReplyObject(groups);
    redisFree(context);
    return is_done ? 0 : measure_failed(what, "left entries unread or not acknowledged");
}

int redis_host_delete(const struct redis_host *host, const char *stream)
{
    redisContext *context = open_socket(host);
    if (context == NULL)
        return measure_failed("redis-server", "does not answer");
    (void)redisAppendCommand(context, "DEL %s", stream);
    int result = take_answers(context, 1);
    redisFree(context);
    return result;
}

int redis_host_check_length(const struct redis_host *host, const char *stream, uint64_t entries)
{
    redisContext *context = open_socket(host);
    if (context == NULL)
        return measure_failed("redis-server", "does not answer");
    redisReply *reply = redisCommand(context, "XLEN %s", stream);
    bool is_right =
        reply != NULL && reply->type == REDIS_REPLY_INTEGER && (uint64_t)reply->integer == entries;
    if (reply != NULL)
        freeReplyObject(reply);
    redisFree(context);
    return is_right ? 0 : measure_failed(stream, "has not all the entries that were added");
}
