/* What a server answers: hiredis' reader with limits, and errors of the server as our own. */
#ifndef REDIS_REPLY_H
#define REDIS_REPLY_H

#include <strid/bytes.h>
#include <strid/error.h>

#include <stdbool.h>

struct redisReader; /* hiredis' own */
struct redisReply;

struct redis_functions; /* that build the replies */
struct redis_entries;

/* Stays where it was initialised. */
struct redis_replies {
    struct redisReader *reader;
    struct redis_functions *functions;
    uint64_t bytes_max;            /* of one reply */
    uint64_t bytes_waiting;        /* fed since the last whole reply */
    uint64_t items;                /* announced by arrays of the reply that is being read */
    struct redis_entries *entries; /* takes those of the reply that is being read; NULL: nobody */
};

void redis_replies_init(struct redis_replies *replies, uint64_t bytes_max);
void redis_replies_fini(struct redis_replies *replies); /* idempotent, safe on a zeroed struct */

/* The reply that is given in place of one whose entries were taken. */
extern struct redisReply redis_reply_taken;

/* Both: any failure leaves the connection unusable, since nobody knows where the next reply begins.
 * redis_replies_next gives the next whole one, freed with redis_reply_free; STRID_AGAIN: more has
 * to be fed. STRID_ELIMIT: larger than allowed. */
strid_status redis_replies_feed(struct redis_replies *replies, const void *data, size_t len,
                                strid_error *err);
strid_status redis_replies_next(struct redis_replies *replies, struct redisReply **out,
                                strid_error *err);
void redis_reply_free(struct redisReply *reply); /* NULL is fine */

/* STRID_OK unless `reply` is an error; then its meaning, with `what` was asked in the message. */
strid_status redis_reply_check(const struct redisReply *reply, const char *what, strid_error *err);
bool redis_reply_is_error(const struct redisReply *reply, const char *code);
/* The server has no room for another client; word for word, so nothing secret is repeated in it. */
bool redis_reply_is_full(const struct redisReply *reply);
strid_bytes redis_reply_bytes(const struct redisReply *reply); /* absent unless it is a text */

#endif
