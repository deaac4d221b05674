/* Which letters of a queue are a pipeline's own: several pipelines may share one, as those that
 * read the same file do by default, and none may hand back or delete what another one could not
 * handle. A letter that names no pipeline, of another system for instance, is everybody's.
 * @thread the caller's */
#ifndef API_DLQ_OWN_H
#define API_DLQ_OWN_H

#include "api/pipeline.h"

struct dlq_own {
    const char *pipeline; /* its name */
    uint64_t others;      /* letters of other pipelines that were met */
    struct buffer other;  /* the name of one of them, with its end */
};

struct dlq_own dlq_own_of(const strid_pipeline *pipeline);
bool dlq_own_is(struct dlq_own *own, const strid_output *letter);
/* Says how many were not, and frees. */
void dlq_own_end(struct dlq_own *own, const struct log *log);

#endif
