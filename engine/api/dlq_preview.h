/* What handing letters back would do, without doing it. @thread the caller's */
#ifndef API_DLQ_PREVIEW_H
#define API_DLQ_PREVIEW_H

#include "api/dlq.h"

/* Of a node whose letters go back through its state, which must not be in use. */
strid_status dlq_preview(strid_pipeline *pipeline, const struct sink_instance *dlq, bool again,
                         strid_dead_letter_fn fn, void *user, strid_dlq_replayed *result,
                         strid_error *err);

#endif
