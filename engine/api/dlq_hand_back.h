/* Handing dead letters back through the connector, where the source can take them in one step with
 * letting go of them. @thread the caller's */
#ifndef API_DLQ_HAND_BACK_H
#define API_DLQ_HAND_BACK_H

#include "api/dlq.h"

strid_status dlq_hand_back(strid_pipeline *pipeline, const struct sink_instance *dlq,
                           uint32_t flags, strid_dead_letter_fn fn, void *user,
                           strid_dlq_replayed *result, strid_error *err);

#endif
