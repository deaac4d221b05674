/* Appends JSON lines to a file; the dead-letter queue of the file source. */
#ifndef FILE_SINK_H
#define FILE_SINK_H

#include <strid/sink.h>

extern const strid_sink_ops file_sink_ops;

#endif
