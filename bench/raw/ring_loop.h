/* The bare loop behind engine_noop: one thread copies records into chunks of 256, a ck_ring hands
 * the chunks to a second thread that touches each record, another ring brings them back.
 * @thread control; makes one more */
#ifndef RAW_RING_LOOP_H
#define RAW_RING_LOOP_H

#include <stddef.h>

#include "measure.h"

/* Left alone the scheduler now puts both threads on one core and now on two, and the figure is
 * another one each time; so it is said where. On one core the chunks stay in its caches: steady,
 * and nearly always the faster one. On two it depends on how far the machine has put them apart. */
enum ring_place { RING_ONE_CORE, RING_TWO_CORES };

/* Runs for `seconds` with records of `record_bytes`. */
int ring_loop(size_t record_bytes, enum ring_place place, double seconds, struct bench_run *out);

#endif
