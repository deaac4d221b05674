/* Dead letters that lie in topics, read back for tools: to the end of each partition, what was
 * committed alone. @thread the caller's @locks none */
#ifndef KAFKA_BROWSE_H
#define KAFKA_BROWSE_H

#include <strid/sink.h>

#include "kafka_letter.h"

/* strid_sink_ops.browse of the Kafka sink. */
strid_status kafka_browse(const strid_connector_args *args,
                          bool (*fn)(void *user, const strid_output *letter), void *user,
                          strid_error *err);

/* One letter and the message that it stands in; `replayed` is right. Both live until it returns. On
 * failure the reading ends. */
typedef strid_status (*kafka_browse_fn)(void *user, const struct kafka_letter *letter,
                                        const rd_kafka_message_t *message, bool *more,
                                        strid_error *err);

strid_status kafka_browse_letters(const strid_connector_args *args, kafka_browse_fn fn, void *user,
                                  strid_error *err);

#endif
