/* Sides of a comparison that are written in Python: a process of their own each, that measures
 * itself behind its imports. They are left out where STRID_BENCH_PYTHON names no interpreter, which
 * bench/python/install.sh makes. @thread control */
#ifndef BENCH_PYTHON_SIDE_H
#define BENCH_PYTHON_SIDE_H

#include "measure.h"
#include "redis_host.h"

const char *python_side_interpreter(void); /* NULL: none */

/* Has a reader of bench/python ("redis-py", "pspf") read and acknowledge so many entries of stream
 * "bench" as a consumer of group "g". */
int python_side_read(const char *reader, const struct redis_host *host, uint64_t entries,
                     struct bench_run *out);

#endif
