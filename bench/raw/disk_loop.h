/* The bare loop behind engine_bytes: a file is written from its beginning to its end, and again.
 * @thread one */
#ifndef RAW_DISK_LOOP_H
#define RAW_DISK_LOOP_H

#include <stddef.h>

#include "measure.h"

struct disk_loop {
    const char *path; /* of the file, which is made and removed again */
    const uint8_t *bytes;
    size_t bytes_len;    /* whole pieces of 1 MiB */
    size_t record_bytes; /* what counts as a record */
    double sync_every_s;
};

/* Writes for `seconds` and syncs at the end; all that counts is on the disk. */
int disk_loop(const struct disk_loop *loop, double seconds, struct bench_run *out);

#endif
