/* What the file source and the file sink can be configured with. */
#ifndef FILE_CONFIG_H
#define FILE_CONFIG_H

#include <stdbool.h>

#include <strid/config.h>

struct file_source_options {
    const char *match;
    uint64_t max_line;
    uint64_t read_size;
};

enum file_sink_format { FILE_SINK_ENVELOPE = 0, FILE_SINK_VALUE };

struct file_sink_options {
    int32_t format; /* enum file_sink_format */
    bool per_source;
};

extern const strid_option file_source_config[];
extern const strid_option file_sink_config[];

#endif
