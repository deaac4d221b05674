/* A real sentinel of a test's own, on a free port of 127.0.0.1: it watches one master by the name
 * "main" and decides alone. The user "strid" has the password "canary-s"; none is asked for.
 * @thread owner */
#ifndef SUPPORT_SENTINEL_SERVER_H
#define SUPPORT_SENTINEL_SERVER_H

#include "support/redis_server.h"

enum { SENTINEL_SERVER_DOWN_MS = 500 }; /* a master that is silent for so long counts as down */

struct sentinel_server {
    struct support_directory directory;
    struct server process;
    uint16_t port, tls_port; /* tls_port 0: it speaks no TLS */
};

/* Starts it and waits until it answers; ends the program where it does not, with its log. A master
 * with TLS is watched over TLS and named "localhost", and the sentinel has its certificate, too. */
void sentinel_server_start(struct sentinel_server *sentinel, const struct redis_server *master);
/* Idempotent, safe on a zeroed struct. */
void sentinel_server_remove(struct sentinel_server *sentinel);

/* Whether the answer to the command (words, NULL at the end) holds `part`. */
bool sentinel_server_says(const struct sentinel_server *sentinel, const char *part,
                          const char *const *words);
/* From now on it names the one at that port, and forgets what it knew of the other. */
void sentinel_server_move(const struct sentinel_server *sentinel, uint16_t master_port);

#endif
