/* When a stream asks for entries, for how many, and for how long the server may hold that.
 * @thread the reader */
#ifndef REDIS_READS_H
#define REDIS_READS_H

#include "redis_stream.h"

/* Reads that are due, only from a poll: there is room for what they bring. */
void redis_reads_plan(struct redis_stream *stream, int64_t now_ns);

#endif
