/* A real redis-server of a test's own: a free port of 127.0.0.1, a Unix socket and a directory that
 * goes with it. Killed and started again it keeps its port and what its persistence kept. @thread
 * owner */
#ifndef SUPPORT_REDIS_SERVER_H
#define SUPPORT_REDIS_SERVER_H

#include "base/buffer.h"
#include "support/server.h"

typedef enum redis_server_append {
    REDIS_SERVER_APPEND_NO = 0, /* nothing survives a kill */
    REDIS_SERVER_APPEND_EVERYSEC,
    REDIS_SERVER_APPEND_ALWAYS
} redis_server_append;

struct redis_server_options {
    redis_server_append append;
    bool has_tls;            /* on a port of its own, with a certificate for "localhost" */
    const char *const *args; /* further ones for redis-server, NULL at the end; may be NULL */
};

struct redis_server {
    struct support_directory directory;
    struct server process;
    struct redis_server_options options;
    char socket[SUPPORT_PATH_MAX]; /* of Unix, without a password */
    uint16_t port;
    uint16_t tls_port;                                  /* 0: none */
    char cert[SUPPORT_PATH_MAX], key[SUPPORT_PATH_MAX]; /* signed by itself */
};

/* Starts one and waits until it answers; ends the program where it does not, with its log. */
void redis_server_start(struct redis_server *redis, const struct redis_server_options *options);
/* Starts it again, with the same port and directory, after process was killed or stopped. */
void redis_server_restart(struct redis_server *redis);
/* Kills it and removes its directory. Idempotent, safe on a zeroed struct. */
void redis_server_remove(struct redis_server *redis);

/* Sends one command (words, NULL at the end) through the Unix socket and appends the whole reply as
 * it is on the wire; false: no connection, or it broke. */
bool redis_server_ask(struct redis_server *redis, struct buffer *reply, const char *const *words);

#endif
