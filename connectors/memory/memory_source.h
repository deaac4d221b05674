/* Records that the host program pushes, kept until they are acknowledged. */
#ifndef MEMORY_SOURCE_H
#define MEMORY_SOURCE_H

#include <strid/source.h>

extern const strid_source_ops memory_source_ops;

#endif
