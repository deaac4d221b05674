/* Takes dead letters out of a file, or out of all *.dlq of a directory. @thread any */
#ifndef FILE_PURGE_H
#define FILE_PURGE_H

#include <strid/sink.h>

/* strid_sink_ops.purge. Each file is replaced whole, by a rename: after a crash it is the old one
 * or the new one. Lines that are no dead letters stay. STRID_EBUSY: a node is writing to it. */
strid_status file_purge(const strid_connector_args *args,
                        bool (*fn)(void *user, const strid_output *letter), void *user,
                        struct strid_dlq_purged *result, strid_error *err);

#endif
