/* Dead letters handed back to the topics they came from: the record and the mark of its letter are
 * written in one transaction, so that a crash leaves both or neither. One at a time in a cluster:
 * another one that begins ends this one. @thread the caller's @locks none */
#ifndef KAFKA_HAND_BACK_H
#define KAFKA_HAND_BACK_H

#include <strid/source.h>

#include "kafka_session.h"

/* strid_source_ops.hand_back for a source that reads what `session` has. */
strid_status kafka_hand_back(const struct kafka_session *session, const strid_connector_args *dlq,
                             strid_letter_fate_fn fn, void *user, struct strid_dlq_replayed *result,
                             strid_error *err);

#endif
