#include "support/sentinel_server.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/buffer.h"

enum { START_TRIES = 5, ANSWER_S = 10 };

/* Every text of the answer, a line each. */
static void put_texts(struct buffer *out, const redisReply *reply)
{
    if (reply->str != NULL)
        buffer_printf(out, "%s\n", reply->str);
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        put_texts(out, reply->element[i]);
}

bool sentinel_server_says(const struct sentinel_server *sentinel, const char *part,
                          const char *const *words)
{
    const char *args[16];
    struct buffer texts = {0};
    int count = 0;
    for (; words[count] != NULL && count < 16; count++)
        args[count] = words[count];
    redisContext *context =
        redisConnectWithTimeout("127.0.0.1", sentinel->port, (struct timeval){.tv_sec = ANSWER_S});
    redisReply *reply =
        context == NULL || context->err != 0 ? NULL : redisCommandArgv(context, count, args, NULL);
    if (reply != NULL)
        put_texts(&texts, reply);
    const bool found = texts.len > 0 && memmem(texts.data, texts.len, part, strlen(part)) != NULL;
    buffer_fini(&texts);
    if (reply != NULL)
        freeReplyObject(reply);
    if (context != NULL)
        redisFree(context);
    return found;
}

static bool answers(void *user)
{
    return sentinel_server_says(user, "PONG", (const char *const[]){"PING", NULL});
}

static void write_config(const struct sentinel_server *sentinel, const struct redis_server *master,
                         const char *path)
{
    struct buffer text = {0};
    const bool has_tls = master->options.has_tls;
    buffer_printf(&text, "port %u\nbind 127.0.0.1\ndir %s\n", (unsigned)sentinel->port,
                  sentinel->directory.path);
    buffer_printf(&text, "user strid on >canary-s ~* &* +@all\n");
    if (has_tls)
        buffer_printf(&text,
                      "tls-port %u\ntls-cert-file %s\ntls-key-file %s\ntls-ca-cert-file %s\n"
                      "tls-auth-clients no\ntls-replication yes\n"
                      "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n",
                      (unsigned)sentinel->tls_port, master->cert, master->key, master->cert);
    buffer_printf(&text, "sentinel monitor main %s %u 1\n", has_tls ? "localhost" : "127.0.0.1",
                  (unsigned)(has_tls ? master->tls_port : master->port));
    buffer_printf(&text, "sentinel down-after-milliseconds main %d\n",
                  (int)SENTINEL_SERVER_DOWN_MS);
    buffer_printf(&text, "sentinel failover-timeout main 3000\n");
    support_write_file(path, text.data, text.len);
    buffer_fini(&text);
}

static bool start(struct sentinel_server *sentinel, const struct redis_server *master)
{
    char path[SUPPORT_PATH_MAX];
    support_path(&sentinel->directory, "sentinel.conf", path);
    write_config(sentinel, master, path);
    server_start(&sentinel->process,
                 (const char *const[]){"redis-server", path, "--sentinel", NULL});
    return server_wait(&sentinel->process, answers, sentinel);
}

void sentinel_server_start(struct sentinel_server *sentinel, const struct redis_server *master)
{
    *sentinel = (struct sentinel_server){.port = 0};
    support_directory_create(&sentinel->directory);
    support_path(&sentinel->directory, "sentinel.log", sentinel->process.log);
    for (int i = 0; i < START_TRIES; i++) { /* its ports may be taken meanwhile */
        sentinel->port = server_free_port();
        sentinel->tls_port = master->options.has_tls ? server_free_port() : 0;
        if (start(sentinel, master))
            return;
        server_kill(&sentinel->process);
    }
    char *log = support_read_file(sentinel->process.log, NULL);
    fprintf(stderr, "sentinel_server: it does not answer; its log:\n%s\n", log == NULL ? "" : log);
    free(log);
    sentinel_server_remove(sentinel);
    exit(EXIT_FAILURE);
}

void sentinel_server_remove(struct sentinel_server *sentinel)
{
    if (sentinel->process.pid != 0)
        server_kill(&sentinel->process);
    support_directory_remove(&sentinel->directory);
}

static void tell(const struct sentinel_server *sentinel, const char *const *words)
{
    if (sentinel_server_says(sentinel, "OK", words))
        return;
    fprintf(stderr, "sentinel_server: it refuses SENTINEL %s\n", words[1]);
    exit(EXIT_FAILURE);
}

#define TELL(sentinel, ...) tell(sentinel, (const char *const[]){"SENTINEL", __VA_ARGS__, NULL})

void sentinel_server_move(const struct sentinel_server *sentinel, uint16_t master_port)
{
    char port[16], down[16];
    (void)snprintf(port, sizeof port, "%u", (unsigned)master_port);
    (void)snprintf(down, sizeof down, "%d", (int)SENTINEL_SERVER_DOWN_MS);
    TELL(sentinel, "REMOVE", "main");
    TELL(sentinel, "MONITOR", "main", "127.0.0.1", port, "1");
    TELL(sentinel, "SET", "main", "down-after-milliseconds", down, "failover-timeout", "3000");
}
