/* Reads a line of a dead-letter file back. One thread. */
#ifndef FILE_LETTER_H
#define FILE_LETTER_H

#include <strid/sink.h>

#include "base/buffer.h"
#include "base/json.h"

/* Memory that is used again for each line. Zero is empty. */
struct file_letter {
    struct buffer line;  /* with padding behind it */
    struct buffer bytes; /* what the views of the output point into */
    strid_header *headers;
    uint32_t header_capacity;
    strid_dead_letter letter;
    strid_output output;
};

void file_letter_fini(struct file_letter *letter);

/* Fills letter->output; it lives until the next call. False: the line is no dead letter. */
bool file_letter_parse(struct file_letter *letter, struct json_parser *parser, strid_bytes line);

#endif
