/* A sink that a pipeline has opened, or opens when it is first needed. Owned by the pipeline, lent
 * to runs. */
#ifndef RUNTIME_INSTANCE_H
#define RUNTIME_INSTANCE_H

#include <stdatomic.h>

#include "pipeline/definition.h"

struct sink_instance {
    const struct sink_definition *definition; /* NULL: there is no such sink */
    strid_connector_args args;                /* but for what the definition says */
    /* NULL: not open. Atomic since the delivery opens the dead-letter queue with its first letter
     * while the host may ask for letters. */
    _Atomic(strid_sink *) sink;
};

/* Opens it unless it is open. @thread control, or the sink's delivery */
strid_status sink_instance_open(struct sink_instance *instance, strid_error *err);
void sink_instance_close(struct sink_instance *instance); /* @thread control */

#endif
