#include "memory_config.h"

const strid_option memory_source_config[] = {
    {
        .name = "partitions",
        .type = STRID_OPTION_INT,
        .fallback = "1",
        .min = 1,
        .max = 65536,
        .offset = offsetof(struct memory_source_options, partitions),
        .doc = "How many partitions there are; the host program says to which one it pushes.",
    },
    {
        .name = "capacity",
        .type = STRID_OPTION_SIZE,
        .fallback = "64MiB",
        .min = 1,
        .max = INT64_C(1) << 40,
        .offset = offsetof(struct memory_source_options, capacity),
        .doc = "How many bytes of records a partition keeps that are not yet acknowledged; a push "
               "beyond it is told to come again.",
    },
    {0},
};

const strid_option memory_sink_config[] = {
    {
        .name = "capacity",
        .type = STRID_OPTION_SIZE,
        .fallback = "64MiB",
        .min = 1,
        .max = INT64_C(1) << 40,
        .offset = offsetof(struct memory_sink_options, capacity),
        .doc = "How many bytes of outputs wait to be taken; the pipeline waits beyond it.",
    },
    {0},
};
