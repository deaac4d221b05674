#include "generator_source.h"

#include "generator_config.h"

const strid_source_ops generator_source_ops = {
    .abi_version = STRID_SOURCE_ABI_VERSION,
    .flags = STRID_SOURCE_REPLAYABLE | STRID_SOURCE_BOUNDED,
    .name = "generator",
    .summary = "Records made up from a seed",
    .options = generator_config,
    .options_size = sizeof(struct generator_options),
    .instance_size = 8,
};
