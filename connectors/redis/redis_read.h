/* The entries of streams, for tools: read by XREAD, so no group knows of it. */
#ifndef REDIS_READ_H
#define REDIS_READ_H

#include <strid/source.h>

strid_status redis_read(const strid_connector_args *args, const strid_read_range *range,
                        strid_read_fn fn, void *user, strid_error *err);

#endif
