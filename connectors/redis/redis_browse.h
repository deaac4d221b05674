/* The dead letters of a stream, oldest first, for tools. Opens a connection of its own. */
#ifndef REDIS_BROWSE_H
#define REDIS_BROWSE_H

#include <strid/sink.h>

strid_status redis_browse(const strid_connector_args *args,
                          bool (*fn)(void *user, const strid_output *letter), void *user,
                          strid_error *err);

/* strid_sink_ops.purge: those for which `fn` returns true go. Also while nodes write. */
strid_status redis_purge(const strid_connector_args *args,
                         bool (*fn)(void *user, const strid_output *letter), void *user,
                         struct strid_dlq_purged *result, strid_error *err);

#endif
