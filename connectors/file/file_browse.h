/* Lists the dead letters of a file, or of all *.dlq of a directory. @thread any */
#ifndef FILE_BROWSE_H
#define FILE_BROWSE_H

#include <strid/sink.h>

/* strid_sink_ops.browse. Lines that are no dead letters are passed over, their number is logged. */
strid_status file_browse(const strid_connector_args *args,
                         bool (*fn)(void *user, const strid_output *letter), void *user,
                         strid_error *err);

#endif
