/* Reads the dead letters of a topic, or of all topics that "{topic}" may stand for. */
#ifndef KAFKA_BROWSE_H
#define KAFKA_BROWSE_H

#include <strid/sink.h>

strid_status kafka_browse(const strid_connector_args *args,
                          bool (*fn)(void *user, const strid_output *letter), void *user,
                          strid_error *err);

#endif
