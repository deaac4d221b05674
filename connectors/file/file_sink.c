#include "file_sink.h"

#include "file_config.h"

const strid_sink_ops file_sink_ops = {
    .abi_version = STRID_SINK_ABI_VERSION,
    .flags = 0,
    .name = "file",
    .summary = "Appends JSON lines to a file",
    .options = file_sink_config,
    .options_size = sizeof(struct file_sink_options),
    .instance_size = 8,
};
