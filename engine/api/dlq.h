/* Finding the dead-letter queue of a pipeline that need not run: for listing, purging and handing
 * back (strid/inspect.h). @thread the caller's */
#ifndef API_DLQ_H
#define API_DLQ_H

#include <strid/inspect.h>

#include "api/pipeline.h"

/* Where the dead letters are, without a source or sink that stays open; `definition` NULL: there is
 * no queue. */
strid_status dlq_find(strid_pipeline *pipeline, struct sink_instance *instance, strid_error *err);
/* STRID_EUNSUPPORTED: they cannot be `what`. */
strid_status dlq_refuse(const strid_pipeline *pipeline, const struct sink_definition *dlq,
                        const char *what, strid_error *err);

#endif
