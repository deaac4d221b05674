/* The Redis sinks: XADD, pipelined. @thread as the sink contract says: one at a time */
#ifndef REDIS_SINK_H
#define REDIS_SINK_H

#include <strid/sink.h>

extern const strid_sink_ops redis_sink_ops;              /* redis: */
extern const strid_sink_ops redis_sink_tls_ops;          /* rediss: */
extern const strid_sink_ops redis_sink_sentinel_ops;     /* redis+sentinel: */
extern const strid_sink_ops redis_sink_sentinel_tls_ops; /* rediss+sentinel: */

#endif
