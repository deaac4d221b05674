/* The bare loop behind redis_latency: hiredis alone, waiting at the server for what is added to a
 * stream, as a consumer of group "g", which it makes. @thread one */
#ifndef RAW_REDIS_WAIT_H
#define RAW_REDIS_WAIT_H

#include <stddef.h>

#include "measure.h"

/* Calls `fn` with the field "v" of each entry, the second of two fields, until so many came. */
int redis_wait_loop(const char *socket, const char *stream, uint64_t entries,
                    void (*fn)(void *user, const void *value, size_t len), void *user,
                    struct bench_run *out);

#endif
