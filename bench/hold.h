/* A run under --hold: figures every second, and a verdict at the end: whether what must be bounded
 * was. @thread the watch of the run; control once that has ended */
#ifndef BENCH_HOLD_H
#define BENCH_HOLD_H

#include <strid/strid.h>

#include "measure.h"

struct hold {
    const struct bench_settings *settings;
    const char *name;
    const char *directory; /* of the state, whose sorted files are counted; NULL: none */
    uint32_t second;
    uint64_t redo_bytes, level0_files, rss_bytes; /* the highest of all seconds */
};

/* One more second is over. */
void hold_second(struct hold *hold, const strid_pipeline_stats *stats);

/* Prints what was highest beside its bound. Returns 0, or -1 where a bound was not kept. */
int hold_judge(const struct hold *hold);

#endif
