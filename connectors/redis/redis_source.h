/* The Redis sources: streams read as a consumer of a group, shared with other nodes. @thread as the
 * source contract says */
#ifndef REDIS_SOURCE_H
#define REDIS_SOURCE_H

#include <strid/source.h>

extern const strid_source_ops redis_source_ops;              /* redis: */
extern const strid_source_ops redis_source_tls_ops;          /* rediss: */
extern const strid_source_ops redis_source_sentinel_ops;     /* redis+sentinel: */
extern const strid_source_ops redis_source_sentinel_tls_ops; /* rediss+sentinel: */

#endif
