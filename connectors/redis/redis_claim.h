/* What a consumer does about idle entries on a timer: it claims those of others, page by page, and
 * keeps its own from looking idle while they wait in the engine.
 *
 * An entry that was given to two consumers and never acknowledged may be what ended them. It is
 * claimed alone, and the next one not before it is acknowledged, or has waited here for claim_idle
 * (10 seconds at least) without harm: what ended a process by chance beside it is told from it so.
 *
 *   due ──XPENDING──> candidates ──XAUTOCLAIM──> claimed ──none of them alone──> next page, or due
 *                         └─ none: due later        └─ alone: acknowledged ──────────┘
 *
 * @thread the stream's reader */
#ifndef REDIS_CLAIM_H
#define REDIS_CLAIM_H

#include "redis_stream.h"

/* A new connection: the first look comes at once, since others may have died meanwhile. */
void redis_claim_restart(struct redis_stream *stream);
/* Puts what is due into connection.out. */
void redis_claim_plan(struct redis_stream *stream, int64_t now_ns);
/* The same for what keeps the own entries from looking idle: also while nothing is read. */
void redis_claim_plan_refresh(struct redis_stream *stream, int64_t now_ns);
/* That is due; and so late that it has to be seen to. */
bool redis_claim_is_refresh_due(const struct redis_stream *stream, int64_t now_ns);
bool redis_claim_is_refresh_late(const struct redis_stream *stream, int64_t now_ns);
/* Milliseconds until something is due; INT64_MAX: nothing will be. */
int64_t redis_claim_wait_ms(const struct redis_stream *stream, int64_t now_ns);

/* The answers. The entries of a claim are in stream->entries. */
void redis_claim_take_candidates(struct redis_stream *stream, const struct redisReply *reply);
void redis_claim_take_page(struct redis_stream *stream);
void redis_claim_take_pending(struct redis_stream *stream, const struct redisReply *reply);

/* Counts what was claimed on a connection, or in a run, that ended before it could be told. */
void redis_claim_count(struct redis_stream *stream, uint32_t count);

/* An entry that was claimed alone is in hand. */
static inline bool redis_claim_is_waiting(const struct redis_stream *stream)
{
    return stream->claim.is_alone;
}
/* These are acknowledged, or gone. */
void redis_claim_settle(struct redis_stream *stream, const strid_position *ids, uint32_t count);

#endif
