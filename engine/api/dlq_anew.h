/* Which dead letters a call hands back through the state, and whether their records can be handled
 * anew: by the source and the format that the pipeline has now. One thread. */
#ifndef API_DLQ_ANEW_H
#define API_DLQ_ANEW_H

#include <strid/inspect.h>

#include "api/dlq_own.h"
#include "api/letter_ids.h"
#include "pipeline/decoder.h"

enum dlq_fate {
    DLQ_GOES,
    DLQ_UNREADABLE, /* the format cannot read it, or it is a piece of a line */
    DLQ_ORPHANED,   /* the source does not have what it was read from */
    DLQ_LEFT        /* for another call */
};

struct dlq_anew {
    strid_dead_letter_fn fn; /* the caller's, which chooses */
    void *user;
    bool again; /* also those that were handed back */
    strid_dlq_replayed result;
    struct letter_ids ids;
    struct dlq_own own;
    const struct log *log;
    const strid_source_ops *ops;
    strid_source *source; /* the pipeline's, which is open */
    struct decoder *decoder;
    struct decoded decoded; /* of the last letter that goes */
    const char *identity;   /* of its partition; NULL: there is none of that topic */
    struct buffer topic;    /* that `identity` is of */
};

/* Of one that has its first three members; to be closed also where it could not be opened. */
strid_status dlq_anew_open(struct dlq_anew *anew, strid_pipeline *pipeline, strid_error *err);
void dlq_anew_close(struct dlq_anew *anew);
/* Whether a letter that is met is one of the pipeline's that can have a mark, for the first time:
 * `base` and `number` are of its id. */
bool dlq_anew_meet(struct dlq_anew *anew, const strid_output *letter, strid_bytes *base,
                   uint32_t *number);
enum dlq_fate dlq_anew_read(struct dlq_anew *anew, const strid_output *letter);

/* Whether the caller wants the letter, told whether it stays all the same; one that is wanted and
 * stays is counted. True: it goes. */
bool dlq_anew_ask(struct dlq_anew *anew, enum dlq_fate fate, const strid_output *letter);

#endif
