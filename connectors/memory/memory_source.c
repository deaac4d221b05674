#include "memory_source.h"

#include "memory_config.h"

const strid_source_ops memory_source_ops = {
    .abi_version = STRID_SOURCE_ABI_VERSION,
    .flags = STRID_SOURCE_REPLAYABLE | STRID_SOURCE_BOUNDED,
    .name = "memory",
    .summary = "Records that the host program pushes",
    .options = memory_source_config,
    .options_size = sizeof(struct memory_source_options),
    .instance_size = 8,
};
