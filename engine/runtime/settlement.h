/* Which low positions may be told to a source that other nodes share (is_shared). A low position
 * says that everything before it is durable here; but what waits for another attempt, is parked or
 * has a dead letter on its way is durable only here, and would be lost with this node. So low
 * positions are kept until nothing waits, and then until what had been settled by that moment is
 * synced and its letters are delivered:
 *
 *   synced low ──nothing waits──> a batch ──blocks synced, letters delivered──> told
 *
 * While something always waits, nothing is told: a node that dies then has more handled again, and
 * nothing lost. A part of the committer: @thread committer, but for create and destroy @thread
 * control */
#ifndef RUNTIME_SETTLEMENT_H
#define RUNTIME_SETTLEMENT_H

#include "runtime/run.h"

struct settlement;

struct settlement *settlement_create(struct run *run); /* NULL: the source is not shared */
void settlement_destroy(struct settlement *settlement);

/* The low position of a partition, which is synced. */
void settlement_add(struct settlement *settlement, uint32_t partition, strid_position low);
/* Looks at what the workers have settled. */
void settlement_look(struct settlement *settlement);
/* One that may be told; false: none now. */
bool settlement_take(struct settlement *settlement, uint32_t *partition, strid_position *low);
/* Nothing is left that could be told before the run ends. Asked when all else is done. */
bool settlement_is_done(const struct settlement *settlement);

#endif
