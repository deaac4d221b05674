/* Outputs as a worker collects them beside a block, one buffer per sink, until they are delivered;
 * and dead letters on their way from a worker's outbox to the dead-letter queue. */
#ifndef RUNTIME_OUTPUT_H
#define RUNTIME_OUTPUT_H

#include <strid/sink.h>

#include "base/buffer.h"
#include "runtime/outbox_record.h"

struct run;
struct sealed_block;

/* Outputs of one block for one sink, or letters of an outbox. Written by the worker, then read by
 * the delivery, which reports to the block or gives the list back to the outbox. */
struct output_list {
    struct sealed_block *block; /* NULL: they are letters */
    uint32_t worker;
    struct buffer bytes;
    uint32_t count;
    size_t kept_len; /* up to here they are of records whose outcome is known */
    uint32_t kept_count;
    struct buffer declined; /* uint32_t: letters that were not added, by their place; rising */
};

/* Appends an output of `record`: its `ordinal`-th. @thread worker */
void output_put(struct output_list *list, uint32_t partition, const strid_record *record,
                uint32_t ordinal, strid_bytes key, strid_bytes value);
/* Appends a dead letter, as outbox_record.h has it. @thread worker */
void output_put_dead_letter(struct output_list *list, strid_bytes letter);

/* Appends pipeline/topic/partition/position/n, where n is a number with `kind` before it. @thread
 * any */
void output_put_id(struct buffer *out, const char *pipeline, strid_bytes topic, uint32_t partition,
                   strid_position position, const char *kind, uint32_t ordinal);

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
