/* Whether the record of a dead letter can be handled anew: by the source and the format that the
 * pipeline has now. One thread. */
#ifndef API_DLQ_ANEW_H
#define API_DLQ_ANEW_H

#include <strid/inspect.h>

#include "api/pipeline.h"
#include "pipeline/decoder.h"

enum dlq_fate {
    DLQ_GOES,
    DLQ_UNREADABLE, /* the format cannot read it, or it is a piece of a line */
    DLQ_ORPHANED,   /* the source does not have what it was read from */
    DLQ_LEFT        /* for another call */
};

struct dlq_anew {
    const strid_source_ops *ops;
    strid_source *source; /* the pipeline's, which is open */
    struct decoder *decoder;
    struct decoded decoded; /* of the last letter that goes */
    const char *identity;   /* of its partition; NULL: there is none of that topic */
    struct buffer topic;    /* that `identity` is of */
};

strid_status dlq_anew_open(struct dlq_anew *anew, strid_pipeline *pipeline, strid_error *err);
void dlq_anew_close(struct dlq_anew *anew);
enum dlq_fate dlq_anew_read(struct dlq_anew *anew, const strid_output *letter);

/* Whether `fn` wants the letter, told whether it stays all the same; one that is wanted and stays
 * is counted. True: it goes. */
bool dlq_anew_ask(enum dlq_fate fate, const strid_output *letter, strid_dead_letter_fn fn,
                  void *user, strid_dlq_replayed *result);

#endif
