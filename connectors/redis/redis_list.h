/* Answers to requests that came through a stream: each is pushed to the end of a list of its own
 * request, which goes by itself when nobody fetches it. */
#ifndef REDIS_LIST_H
#define REDIS_LIST_H

#include <strid/sink.h>

#include "base/buffer.h"

#include "redis_config.h"

struct redisReply;

/* Whether the output says whom it answers, by its key. */
bool redis_list_is_addressed(const strid_output *output);
/* Puts one command into `out`: push and time to live in one step, so that no list stays for ever.
 */
void redis_list_put(struct buffer *out, const char *prefix,
                    const struct redis_sink_options *options, const strid_output *output);
/* Whether the server refused for good what one request asked for: its key is something else. */
bool redis_list_is_refused(const struct redisReply *reply);

#endif
