/* What the generator can be configured with. */
#ifndef GENERATOR_CONFIG_H
#define GENERATOR_CONFIG_H

#include <strid/config.h>

enum generator_format { GENERATOR_BYTES = 0, GENERATOR_JSON };

struct generator_options {
    int64_t seed;
    int64_t records;
    int64_t keys;
    const char *dist;
    uint64_t size;
    int64_t rate;
    int64_t partitions;
    int32_t format; /* enum generator_format */
    int64_t broken;
    const char *type;
};

extern const strid_option generator_config[];

#endif
