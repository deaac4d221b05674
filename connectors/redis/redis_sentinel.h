/* Where the master is, as sentinels say: each is asked in turn, from the one that answered last, on
 * a connection that ends with its answer. @thread the connection's owner */
#ifndef REDIS_SENTINEL_H
#define REDIS_SENTINEL_H

#include "base/buffer.h"

#include "redis_address.h"

struct redisReply;

enum { REDIS_SENTINEL_HOST_MAX = 255, REDIS_SENTINEL_PORT_MAX = 15 };

struct redis_sentinel_master {
    uint32_t sentinel; /* that is asked first */
    char host[REDIS_SENTINEL_HOST_MAX + 1];
    char port[REDIS_SENTINEL_PORT_MAX + 1];
    char shown[REDIS_SENTINEL_HOST_MAX + REDIS_SENTINEL_PORT_MAX + 16]; /* empty: not found yet */
};

/* Blocks, for each sentinel at most twice as long as the timeout of the configuration. What may
 * pass is retriable: one that is away, a master that none knows. */
strid_status redis_sentinel_find(const struct redis_address *address,
                                 struct redis_sentinel_master *master, strid_error *err);
/* The question, and what a sentinel answers to it: host and port. A master that it does not know is
 * retriable. */
void redis_sentinel_ask(struct buffer *out, const char *name);
strid_status redis_sentinel_take(const struct redisReply *reply,
                                 struct redis_sentinel_master *master, strid_error *err);
/* The server was no master: another sentinel may know better. */
void redis_sentinel_doubt(const struct redis_address *address,
                          struct redis_sentinel_master *master);

#endif
