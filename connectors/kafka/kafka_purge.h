/* Dead letters purged from topics, which lose no single records: a letter that goes is marked, as
 * one that is handed back is, unless all before it in its partition goes, too; then the beginnings
 * of the partitions are deleted, up to the first record that stays. Marks are committed first, so
 * that a crash leaves each letter as it was or purged. @thread the caller's @locks none */
#ifndef KAFKA_PURGE_H
#define KAFKA_PURGE_H

#include <strid/sink.h>

/* strid_sink_ops.purge of the Kafka sink. */
strid_status kafka_purge(const strid_connector_args *args,
                         bool (*fn)(void *user, const strid_output *letter), void *user,
                         struct strid_dlq_purged *result, strid_error *err);

#endif
