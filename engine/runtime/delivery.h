/* Delivery, one per sink: takes lists of outputs for the sink, writes and flushes them, and
 * reports: to the sealed block they are of, so that storage may write it, or to the outbox that
 * lent them. A sink that fails is tried again with backoff, without end: nothing is lost, the
 * workers wait. */
#ifndef RUNTIME_DELIVERY_H
#define RUNTIME_DELIVERY_H

#include "runtime/run.h"

struct delivery {
    struct agent agent;
    struct run *run;
    uint32_t index;                 /* in run->deliveries and in block->outputs */
    struct sink_instance *instance; /* the dead-letter queue is opened with the first dead letter */
    struct ring **from_workers;
    struct buffer lists; /* struct output_list *: taken, not yet reported */
    int64_t retry_at_ns, backoff_ns;
    struct output_reader reader;
    _Atomic uint64_t delivered;
};

void delivery_init(struct delivery *delivery, struct run *run, uint32_t index,
                   struct sink_instance *instance);
void delivery_fini(struct delivery *delivery);
int delivery_do_work(void *delivery);

#endif
