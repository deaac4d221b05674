#include "memory_sink.h"

#include "memory_config.h"

const strid_sink_ops memory_sink_ops = {
    .abi_version = STRID_SINK_ABI_VERSION,
    .flags = 0,
    .name = "memory",
    .summary = "Outputs that the host program takes",
    .options = memory_sink_config,
    .options_size = sizeof(struct memory_sink_options),
    .instance_size = 8,
};
