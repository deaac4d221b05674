/* What the source was told of is settled: of a source without order each record that it hears of,
 * of one that is shared each record before the position. Another node that goes on from there,
 * without this one's directory, misses nothing. One thread. */
#ifndef SIM_SETTLED_H
#define SIM_SETTLED_H

#include <stdbool.h>
#include <stdint.h>

/* Needs nothing of this node any more: it was done, and its outputs are outside, or skipped, or
 * taken over, or its dead letter is outside. */
void sim_settled_check(uint32_t partition, uint32_t index);

/* The same of all before the place, from the one on that was told before; while a run runs: and
 * what was done is synced. */
void sim_settled_check_before(uint32_t partition, uint64_t place);

/* Whether a record of a shared source lies before what was told: it never comes again. */
bool sim_settled_is_before(uint32_t partition, uint32_t index);

#endif
