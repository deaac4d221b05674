/* Outputs that the host program takes. */
#ifndef MEMORY_SINK_H
#define MEMORY_SINK_H

#include <strid/sink.h>

extern const strid_sink_ops memory_sink_ops;

#endif
