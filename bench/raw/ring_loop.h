/* The bare loop behind engine_noop: one thread copies records into chunks of 256, a ck_ring hands
 * the chunks to a second thread that touches each record, another ring brings them back.
 * @thread control; makes one more */
#ifndef RAW_RING_LOOP_H
#define RAW_RING_LOOP_H

#include <stddef.h>

#include "measure.h"

/* Runs for `seconds` with records of `record_bytes`. */
int ring_loop(size_t record_bytes, double seconds, struct bench_run *out);

#endif
