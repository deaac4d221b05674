/* A copy of an output that owns all it points to, in one piece of memory. */
#ifndef MEMORY_OUTPUT_H
#define MEMORY_OUTPUT_H

#include <strid/sink.h>

struct memory_output {
    struct memory_output *next;
    uint64_t bytes; /* what it takes of the capacity */
    strid_output output;
    strid_dead_letter letter;
    strid_header headers[];
};

/* Released by memory_free(). */
struct memory_output *memory_output_create(const strid_output *output);
void memory_output_destroy_all(struct memory_output *first); /* with all that follow it */

#endif
