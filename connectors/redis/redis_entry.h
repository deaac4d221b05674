/* How an output or a dead letter stands in a stream: the XADD that puts it there. Fields hold any
 * bytes, so nothing is encoded; what is absent has no field. */
#ifndef REDIS_ENTRY_H
#define REDIS_ENTRY_H

#include <strid/sink.h>

#include "base/buffer.h"

#include "redis_config.h"
#include "redis_object.h"

/* Fields of a dead letter; headers follow as "header:NAME", or "header_absent:NAME" where the value
 * was absent, in their order. */
#define REDIS_ENTRY_HEADER "header:"
#define REDIS_ENTRY_HEADER_ABSENT "header_absent:"

/* Room that is used again. Zero is empty. */
struct redis_entry_room {
    struct buffer fields;
    struct redis_object object;
};

void redis_entry_room_fini(struct redis_entry_room *room);

/* Puts one command into `out`. `now_ms` is what "keep" counts from. */
void redis_entry_put(struct buffer *out, struct redis_entry_room *room, const char *stream,
                     const struct redis_sink_options *options, int64_t now_ms,
                     const strid_output *output);

#endif
