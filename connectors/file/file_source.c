#include "file_source.h"

#include "file_config.h"

const strid_source_ops file_source_ops = {
    .abi_version = STRID_SOURCE_ABI_VERSION,
    .flags = STRID_SOURCE_REPLAYABLE | STRID_SOURCE_BOUNDED | STRID_SOURCE_PADDED,
    .name = "file",
    .summary = "Lines of a file, or of the files of a directory",
    .options = file_source_config,
    .options_size = sizeof(struct file_source_options),
    .instance_size = 8,
};
