/* Whether the sentinels still name the server that a connection is on. A failover that was asked
 * for leaves the old master as it is for some ten seconds: it answers, and what is added to it is
 * lost. So one sentinel, on a connection of its own, is asked twice a second while the connection
 * is in use. @thread the connection's owner */
#ifndef REDIS_WATCH_H
#define REDIS_WATCH_H

#include <stdbool.h>

#include "redis_sentinel.h"

struct redis_watch;

/* `address` names sentinels, and outlives the watch. */
struct redis_watch *redis_watch_create(const struct redis_address *address);
void redis_watch_destroy(struct redis_watch *watch); /* NULL is fine */

/* A sentinel has just named `master`: it is the one that is asked from now on. */
void redis_watch_begin(struct redis_watch *watch, const struct redis_sentinel_master *master);

/* Whether another server than `master` is named now. Answers are not waited for, unless
 * `is_patient`: then for a moment, where the last one is older than a second. Blocks where a
 * sentinel has to be connected to, for half a second at most; one that is away is left for the next
 * one, and all of them together, for a while. */
bool redis_watch_is_elsewhere(struct redis_watch *watch, const struct redis_sentinel_master *master,
                              bool is_patient);

#endif
