/* Dead letters that lie in topics, read back for tools, without those that were purged.
 * @thread the caller's @locks none */
#ifndef KAFKA_BROWSE_H
#define KAFKA_BROWSE_H

#include <strid/sink.h>

/* strid_sink_ops.browse of the Kafka sink. */
strid_status kafka_browse(const strid_connector_args *args,
                          bool (*fn)(void *user, const strid_output *letter), void *user,
                          strid_error *err);

#endif
