/* How outputs and dead letters stand in a file: one JSON object a line. file_line_put* writes what
 * file_browse reads. */
#ifndef FILE_LINE_H
#define FILE_LINE_H

#include <strid/sink.h>

#include "base/buffer.h"
#include "base/json.h"

#include "file_config.h"

/* Appends a line with its newline. `parser` finds out whether a value is JSON. */
void file_line_put(struct buffer *out, const strid_output *output, enum file_sink_format format,
                   struct json_parser *parser);

#endif
