/* Dead letters handed back to the streams they came from: each one in a script at the server, so
 * that it stands in its stream and not among the letters any more, or the other way round. One
 * thread. */
#ifndef REDIS_HAND_BACK_H
#define REDIS_HAND_BACK_H

#include <strid/source.h>

#include "redis_address.h"

/* strid_source_ops.hand_back for a source that reads `source`. */
strid_status redis_hand_back(const struct redis_address *source,
                             const struct redis_source_options *options,
                             const strid_connector_args *dlq, strid_letter_fate_fn fn, void *user,
                             struct strid_dlq_replayed *result, strid_error *err);

#endif
