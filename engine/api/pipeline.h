/* What a strid_pipeline is: its definition, what it has opened, and the run, if one is under way.
 */
#ifndef API_PIPELINE_H
#define API_PIPELINE_H

#include "runtime/deferral.h"
#include "runtime/run.h"

struct strid_pipeline {
    struct definition *definition;
    struct log log;
    pthread_mutex_t lock; /* guards opening of source and sinks, `run`, `runs` and `totals`; not on
                             the data path */
    bool runs;            /* strid_pipeline_run() has not returned */
    strid_source *source; /* NULL: not open */
    struct sink_instance *sinks; /* one per definition->sinks, then the dead-letter queue's */
    uint32_t sink_count;         /* without the dead-letter queue */
    struct sink_definition dlq;
    struct run *run;    /* NULL: none */
    struct store *kept; /* state in memory, between two runs; NULL: none, or a run has it */
    struct deferrals *deferrals;
    strid_pipeline_stats
        totals;            /* of runs that have ended within this call of strid_pipeline_run */
    _Atomic uint32_t stop; /* how often strid_pipeline_stop was called */
    struct parker control; /* where the control thread sleeps while a run runs */
};

/* Opens the source unless it is open. @thread any */
strid_status pipeline_open_source(strid_pipeline *pipeline, strid_error *err);
void pipeline_close_source(strid_pipeline *pipeline);
/* Opens the sinks that are not open and prepares the dead-letter queue. @thread any */
strid_status pipeline_open_sinks(strid_pipeline *pipeline, strid_error *err);
/* Says which dead-letter queue there is, the source being open; opens nothing. @thread any */
strid_status pipeline_prepare_dlq(strid_pipeline *pipeline, struct sink_instance *instance,
                                  strid_error *err);
/* Closes what belongs to one run; `all`: also what the host pushes into and takes from. @thread
 * control */
void pipeline_close(strid_pipeline *pipeline, bool all);

#endif
