/* Outputs and dead letters as a worker collects them beside a block, one buffer per sink, until
 * they are delivered. */
#ifndef RUNTIME_OUTPUT_H
#define RUNTIME_OUTPUT_H

#include <strid/sink.h>

#include "base/buffer.h"

struct run;

/* Outputs of one block for one sink. Written by the worker, then read by the delivery. */
struct output_list {
    struct buffer bytes;
    uint32_t count;
    size_t kept_len; /* up to here they are of records whose outcome is known */
    uint32_t kept_count;
};

/* What a dead letter says beyond its record. */
struct output_failure {
    strid_bytes reason;
    uint32_t attempts;
    int64_t first_ms, last_ms;
};

/* Appends an output of `record`: its `ordinal`-th. @thread worker */
void output_put(struct output_list *list, uint32_t partition, const strid_record *record,
                uint32_t ordinal, strid_bytes key, strid_bytes value);
void output_put_dead_letter(struct output_list *list, uint32_t partition,
                            const strid_record *record, const struct output_failure *failure);

/* Reads a list back, one output after the other. What an output points to lives until the next one.
 * @thread delivery */
struct output_reader {
    const struct run *run;
    struct cursor cursor;
    struct buffer id;
    struct buffer headers; /* strid_header array */
    strid_dead_letter dead_letter;
};

bool output_next(struct output_reader *reader, strid_output *out);
void output_reader_fini(struct output_reader *reader);

#endif
