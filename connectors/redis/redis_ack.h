/* Acknowledgements of a stream: from the engine's committer through a queue to the reader, which
 * sends them pipelined with its reads. @thread the stream's reader */
#ifndef REDIS_ACK_H
#define REDIS_ACK_H

#include "redis_stream.h"

/* Takes over what the committer has told. */
void redis_ack_take(struct redis_stream *stream);
/* Puts what was told into connection.out. */
void redis_ack_plan(struct redis_stream *stream);
/* The first command that has no answer has one: of so many entries. */
void redis_ack_answered(struct redis_stream *stream, uint32_t count);
/* Tells and counts an entry that was pending and is not in the stream: it can never be handled. */
void redis_ack_tell_gone(struct redis_stream *stream, strid_position id);
/* The same, and acknowledges it. */
void redis_ack_gone(struct redis_stream *stream, strid_position id);

#endif
