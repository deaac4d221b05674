/* A redis-server of the bench's own, on a Unix socket, that keeps nothing on the disk, with a
 * stream that is read again by every run. @thread control */
#ifndef BENCH_REDIS_HOST_H
#define BENCH_REDIS_HOST_H

#include <sys/types.h>

#include "measure.h"

struct redis_host {
    pid_t pid;     /* 0: none */
    uint16_t port; /* of 127.0.0.1, set before the start; 0: the Unix socket alone */
    char socket[MEASURE_PATH_MAX];
};

/* A port that nobody listens on; 0: there is none. */
uint16_t redis_host_find_port(void);

/* Starts it in a directory that exists; -1 with a message where it does not answer. */
int redis_host_start(struct redis_host *host, const char *directory);
void redis_host_stop(struct redis_host *host); /* safe on a zeroed struct */

/* Fills stream "bench" with entries {k: one of `keys`, v: value_bytes}. */
int redis_host_fill(const struct redis_host *host, uint64_t entries, uint64_t keys,
                    uint32_t value_bytes);
/* Group "g" of the stream anew, with all entries before it. */
int redis_host_rewind(const struct redis_host *host);
/* Whether `entries` of the stream were read and none is pending; else a message. */
int redis_host_check(const struct redis_host *host, const char *what, uint64_t entries);
int redis_host_delete(const struct redis_host *host, const char *stream);
/* Whether a stream has so many entries; else a message. */
int redis_host_check_length(const struct redis_host *host, const char *stream, uint64_t entries);

#endif
