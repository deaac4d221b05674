/* Whether the group is still the one that this node knows. A group that was lost and made again by
 * another node looks like any other: its positions soon pass the old ones. So each node keeps a
 * consumer of its own in the group that reads nothing, "CONSUMER:mark". It goes when the group
 * goes. Looked for on each connect, on a timer and at the end, and made only behind a look that did
 * not find it: an answer that is lost with its connection tells nobody anything.
 *
 * One that is made behind a loss is "CONSUMER:mark:ID": what this node was given up to that ID may
 * be of the group that was lost, and this one, which does not hold it as pending, does not say by
 * that that it is settled (redis_move.h).
 *
 * A node whose consumer has a new name has no mark under it, which says nothing of a loss: nothing
 * is told, and the mark is made as behind one.
 * @thread the stream's reader */
#ifndef REDIS_MARK_H
#define REDIS_MARK_H

#include "redis_stream.h"

/* On a connection that was just opened; waits for the answers. `is_other` tells of a mark that is
 * missing, where it was there before. STRID_AGAIN: the group went meanwhile. */
strid_status redis_mark_prepare(struct redis_stream *stream, bool is_other, strid_error *err);
/* Puts a look into connection.out when one is due. */
void redis_mark_plan(struct redis_stream *stream, int64_t now_ns);
/* The answer to a look. */
void redis_mark_take(struct redis_stream *stream, const struct redisReply *reply);
/* The answer to a look, or to making a mark, where there is no such group or stream. */
bool redis_mark_has_no_group(const struct redisReply *reply);
/* Whether that is the name of a mark of the consumer. */
bool redis_mark_is_of(const char *name, strid_bytes consumer);
/* The next plan is a new connection's first. */
void redis_mark_restart(struct redis_stream *stream);

#endif
