/* What the memory source and the memory sink can be configured with. */
#ifndef MEMORY_CONFIG_H
#define MEMORY_CONFIG_H

#include <strid/config.h>

struct memory_source_options {
    int64_t partitions;
    uint64_t capacity;
};

struct memory_sink_options {
    uint64_t capacity;
};

extern const strid_option memory_source_config[];
extern const strid_option memory_sink_config[];

#endif
