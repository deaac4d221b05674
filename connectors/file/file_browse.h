/* Lists the dead letters of a file, or of all *.dlq of a directory. @thread any */
#ifndef FILE_BROWSE_H
#define FILE_BROWSE_H

#include <strid/sink.h>

/* strid_sink_ops.browse. Lines that are no dead letters are passed over, their number is logged. */
strid_status file_browse(const strid_connector_args *args,
                         bool (*fn)(void *user, const strid_output *letter), void *user,
                         strid_error *err);

/* Calls `fn` with the path of each file of dead letters, in the order of names; a file that is
 * named need not exist. The first failure ends it. */
typedef strid_status (*file_browse_path_fn)(void *user, const char *path, strid_error *err);
strid_status file_browse_paths(const strid_connector_args *args, file_browse_path_fn fn, void *user,
                               strid_error *err);

#endif
