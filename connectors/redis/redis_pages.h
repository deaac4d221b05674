/* Going through the dead letters of a stream, oldest first, on a connection of its own. One thread.
 */
#ifndef REDIS_PAGES_H
#define REDIS_PAGES_H

#include <strid/sink.h>

#include "redis_connection.h"
#include "redis_letter.h"

struct redisReply;
struct redis_pages;

/* `entry` as XRANGE gives it; its letter is pages->letter. May ask more on pages->connection. */
typedef strid_status (*redis_pages_fn)(struct redis_pages *pages, const struct redisReply *entry,
                                       strid_error *err);

struct redis_pages {
    redis_pages_fn see;                                               /* each letter */
    strid_status (*end)(struct redis_pages *pages, strid_error *err); /* of a page; may be NULL */
    void *user;
    bool is_ended; /* set by `see`: it is enough */
    struct redis_address address;
    struct redis_connection connection;
    struct redis_letter letter;
    struct buffer from; /* "(" and the id of the last entry seen, terminated */
    uint64_t passed_over;
};

/* `args` are a sink's. All but see, end and user is the call's own, zeroed before. */
strid_status redis_pages_walk(struct redis_pages *pages, const strid_connector_args *args,
                              strid_error *err);

#endif
