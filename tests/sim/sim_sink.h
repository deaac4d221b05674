/* Sinks of the simulator: what is flushed is durable outside of the node; writes and flushes fail
 * at random, a failed flush half of the time after it took effect. Each output is checked against
 * the model as it arrives. Instances 0 and 1 take outputs, the last one dead letters. */
#ifndef SIM_SINK_H
#define SIM_SINK_H

#include <strid/sink.h>

#include "base/buffer.h"

/* What was written and not yet flushed. Outlives the instance: a crash may leave a part of it. */
struct sim_sink {
    struct buffer waiting;  /* struct sim_payload */
    struct buffer declined; /* uint32_t: which of the last flush were */
};

extern const strid_sink_ops sim_sink_ops;

/* The node died, or its sink was closed: a part of what was not flushed may have arrived. */
void sim_sink_crash(uint32_t index);

#endif
