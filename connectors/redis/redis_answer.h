/* What the server answers to a stream's commands, in the order in which they were sent. @thread the
 * stream's reader */
#ifndef REDIS_ANSWER_H
#define REDIS_ANSWER_H

#include "redis_stream.h"

/* One answer, where one is there and what came before it was handed over. STRID_AGAIN: none. A
 * failure that may pass leaves the connection closed, and so does a group that is gone. */
strid_status redis_answer_take(struct redis_stream *stream, strid_error *err);

#endif
