/* Deferred outcomes that are done after a time: a service that takes so long to answer, however
 * much it is asked at once. One thread completes all. */
#ifndef BENCH_LATER_H
#define BENCH_LATER_H

#include <strid/strid.h>

struct later;

/* NULL, with a message: no thread, or no completer. @thread control */
struct later *later_create(strid_pipeline *pipeline, int64_t wait_us);
void later_complete(struct later *later, strid_token token); /* @thread any */
/* Nothing is open any more. Returns how many came too late. @thread control */
uint64_t later_destroy(struct later *later);

#endif
