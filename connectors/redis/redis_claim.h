/* What a consumer does about idle entries on a timer: it claims those of others, page by page, and
 * keeps its own from looking idle while they wait in the engine. @thread the stream's reader */
#ifndef REDIS_CLAIM_H
#define REDIS_CLAIM_H

#include "redis_stream.h"

/* A new connection: the first look comes at once, since others may have died meanwhile. */
void redis_claim_restart(struct redis_stream *stream);
/* Puts what is due into connection.out. */
void redis_claim_plan(struct redis_stream *stream, int64_t now_ns);
/* Milliseconds until something is due; INT64_MAX: nothing will be. */
int64_t redis_claim_wait_ms(const struct redis_stream *stream, int64_t now_ns);

/* The answers. The entries of a claim are in stream->entries. */
void redis_claim_take_page(struct redis_stream *stream);
void redis_claim_take_pending(struct redis_stream *stream, const struct redisReply *reply);

#endif
