/* Reader: polls its partitions when it has credit (free chunks), decodes, hashes and routes records
 * into one open chunk per worker, and hands these over round by round. No credit, no polling. */
#ifndef RUNTIME_READER_H
#define RUNTIME_READER_H

#include "runtime/run.h"

struct reader_partition {
    uint32_t partition;
    bool ended;
    bool has_last;
    bool held;           /* too much of it waits */
    strid_position last; /* highest delivered position */
    strid_position next; /* where reading goes on */
};

struct reader {
    struct agent agent;
    struct run *run;
    uint32_t index;
    struct decoder *decoder;
    bool decodes;
    bool is_ordered; /* positions rise */
    struct reader_partition *partitions;
    uint32_t partition_count, next_partition;
    struct ring **to_workers;
    uint32_t *unwoken;         /* per worker: chunks pushed since it was woken */
    int64_t unwoken_since_ns;  /* the first poll since all were woken that got some */
    struct ring *to_committer; /* closed rounds */
    struct ring *from_committer_chunks, *from_committer_rounds;
    struct chunk **free_chunks; /* besides those that wait in the ring from the committer */
    uint32_t free_count, chunk_count;
    struct chunk **chunks; /* all of them */
    uint64_t grown_bytes;  /* arenas of chunks that are out, beyond their usual size */
    struct round *free_rounds;
    uint32_t rounds_out;  /* with the committer: bounded, so that its rings cannot fill */
    struct buffer rounds; /* every slab of rounds ever made */
    /* of the poll that runs */
    struct chunk **open; /* per worker; NULL: none */
    struct round *round;
    struct reader_partition *current;
    bool begun; /* the workers know what waits: bounds hold from the first record on */
    bool full;  /* a chunk is full, or none is free: the round ends */
    strid_error *err;
    strid_status status;
    _Atomic bool ended; /* release: nothing more comes into its rings */
    _Atomic uint64_t backpressure;
};

strid_status reader_init(struct reader *reader, struct run *run, uint32_t index, strid_error *err);
void reader_fini(struct reader *reader);
int reader_do_work(void *reader);

#endif
