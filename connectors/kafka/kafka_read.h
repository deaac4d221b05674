/* The records of topics, for tools: partitions are read without a group. */
#ifndef KAFKA_READ_H
#define KAFKA_READ_H

#include <strid/source.h>

strid_status kafka_read(const strid_connector_args *args, const strid_read_range *range,
                        strid_read_fn fn, void *user, strid_error *err);

#endif
