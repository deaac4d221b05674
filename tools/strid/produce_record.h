/* A line of input as a record to be sent: a value, with a key before a delimiter, or a JSON object.
 * One thread. */
#ifndef PRODUCE_RECORD_H
#define PRODUCE_RECORD_H

#include <strid/sink.h>

#include "base/buffer.h"

enum produce_input { PRODUCE_LINES = 0, PRODUCE_JSON };

struct json_parser;

struct produce_record {
    enum produce_input input;
    const char *key_delimiter; /* NULL: no keys */
    bool empty_is_null;
    struct json_parser *parser, *members; /* JSON */
    struct buffer key, value, texts;      /* decoded; texts of headers */
    struct buffer places;                 /* struct place, of each header in `texts` */
    struct buffer headers;                /* strid_header */
    strid_output output;
};

void produce_record_init(struct produce_record *record, enum produce_input input);
void produce_record_fini(struct produce_record *record);

/* Fills record->output, which lives as long as the line and until the next call; 64 bytes behind
 * the line may be read. STRID_EINVAL: the line is no record, and why. */
strid_status produce_record_parse(struct produce_record *record, strid_bytes line,
                                  strid_error *err);

#endif
