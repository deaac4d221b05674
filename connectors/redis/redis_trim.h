/* Takes out of a stream what all its groups have done, where "trim" asks for it: looked for and
 * taken out in one step at the server, so that no group can come or go back between the two. Done
 * is what a group was given and does not hold as pending.
 * @thread the stream's reader */
#ifndef REDIS_TRIM_H
#define REDIS_TRIM_H

#include "redis_stream.h"

/* Puts the command into connection.out when it is due. */
void redis_trim_plan(struct redis_stream *stream, int64_t now_ns);
/* Its answer. */
void redis_trim_take(struct redis_stream *stream, const struct redisReply *reply);
/* The next plan is a new connection's first. */
void redis_trim_restart(struct redis_stream *stream);

#endif
