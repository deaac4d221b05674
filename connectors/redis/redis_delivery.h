/* How often an entry was given to a consumer, as the server counts: once when it is new and once
 * for each claim. What ends each process that takes it would be claimed for ever; so an entry that
 * was given out more often than configured becomes a dead letter. Reading own pending entries again
 * counts at the server too, though nobody else was given them: that is taken back each time.
 * @thread the stream's reader */
#ifndef REDIS_DELIVERY_H
#define REDIS_DELIVERY_H

#include <strid/source.h>

#include "redis_stream.h"

/* An entry as XPENDING tells of it. */
struct redis_delivery {
    strid_position id;
    uint64_t count;
};

/* false: it is no such thing. */
bool redis_delivery_parse(const struct redisReply *entry, struct redis_delivery *out);

/* A new connection. */
void redis_delivery_restart(struct redis_stream *stream);
/* Asks about the own entries that the next page of history, of `count` at most, will hold, and
 * about no others: setting the count of an entry back makes the server forget one that it no longer
 * has, so the page has to tell of it before. false: there is no room for this and the page itself.
 */
bool redis_delivery_plan(struct redis_stream *stream, uint32_t count);
void redis_delivery_take(struct redis_stream *stream, const struct redisReply *reply);

/* It is not to be handled any more; tells so. */
void redis_delivery_condemn(struct redis_stream *stream, const struct redis_delivery *delivery);
/* Before a record is handed over, and when that was done. */
void redis_delivery_judge(const struct redis_stream *stream, strid_raw *raw);
void redis_delivery_forget(struct redis_stream *stream, strid_position id);

#endif
