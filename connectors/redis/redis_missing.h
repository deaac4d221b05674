/* Own pending entries that the server lets go of because they were deleted or trimmed. Reading the
 * own pending entries shows them, and they are told then. But what refreshes the idle time (XCLAIM)
 * makes the server forget them, too, also before they were read here: it answers with those that
 * are left. What such an answer lacks may also have been settled, or claimed by another consumer,
 * since the refresh was planned. So it is looked for in the stream (XRANGE): what is not there any
 * more is told.
 *
 *   refresh planned ──answer──> lacking ──XRANGE──> there: settled, or another's
 *          └── no answer: all of it ──┘        └──> not there: lost, told
 *
 * Entries that were given to the engine on this connection are none of this: it has them.
 * @thread the stream's reader */
#ifndef REDIS_MISSING_H
#define REDIS_MISSING_H

#include "redis_stream.h"

/* These are about to be refreshed: the answer of XPENDING. */
void redis_missing_expect(struct redis_stream *stream, const struct redisReply *pending);
/* The answer to the refresh: the IDs that are still pending here. */
void redis_missing_take_refreshed(struct redis_stream *stream, const struct redisReply *reply);

/* Some have to be looked for, or are. */
bool redis_missing_is_due(const struct redis_stream *stream);
/* Puts what looks for them into connection.out. */
void redis_missing_plan(struct redis_stream *stream);
/* Whether the user has no right to look, which ends no run. */
bool redis_missing_is_refused(const struct redis_expected *expected,
                              const struct redisReply *reply);
/* The answer to a look. */
void redis_missing_take(struct redis_stream *stream, const struct redisReply *reply);
/* A run ends without answers: what was to be looked for is told as what may be lost. */
void redis_missing_give_up(struct redis_stream *stream);
/* The next plan is a new connection's first. */
void redis_missing_restart(struct redis_stream *stream);

#endif
