/* The bare loop behind redis_produce: hiredis alone, adding entries to a stream. @thread one */
#ifndef RAW_REDIS_ADD_H
#define RAW_REDIS_ADD_H

#include "measure.h"

/* Entries {k: one of `keys`, v: value_bytes}, as redis_host_fill makes them. */
int redis_add_loop(const char *socket, const char *stream, uint64_t entries, uint64_t keys,
                   uint32_t value_bytes, struct bench_run *out);

#endif
