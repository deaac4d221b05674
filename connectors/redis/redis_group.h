/* The group of a stream: made where it is missing, and made again at what was applied where the
 * server lost it. @thread the stream's reader, or control at assign */
#ifndef REDIS_GROUP_H
#define REDIS_GROUP_H

#include "redis_stream.h"

/* On a connection that was just opened; waits for the answers. `err` is not NULL. Tells what was
 * lost. */
strid_status redis_group_prepare(struct redis_stream *stream, strid_error *err);

#endif
