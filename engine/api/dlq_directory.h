/* The state directory of a stopped node, for what changes the marks of its dead letters.
 * @thread the caller's */
#ifndef API_DLQ_DIRECTORY_H
#define API_DLQ_DIRECTORY_H

#include "api/pipeline.h"
#include "state/directory.h"

/* Opens it, checks that it is the pipeline's, and brings it into the form that a run starts from:
 * its lock is held, and all that was there is in the store. *out is to be closed after an error,
 * too. STRID_EBUSY: a node runs. STRID_ENOTFOUND: there is none. */
strid_status dlq_directory_begin(const strid_pipeline *pipeline, int64_t now_ms,
                                 struct directory **out, strid_error *err);

/* Calls `fn` with each entry of a store of the engine, as store_ops.scan does. */
strid_status dlq_directory_scan(const struct directory *directory, uint8_t store,
                                bool (*fn)(void *user, strid_bytes key, strid_bytes value),
                                void *user, strid_error *err);

#endif
