/* The marks of letters that are purged go with them, where the node is stopped. A mark stays while
 * the queue or the outbox has another letter of the same record: that may be a repeat of one that
 * is gone, and goes with its mark when it is purged. One thread; a zeroed struct but for `own`,
 * `fn` and `user`, and perhaps `marks`, is ready. */
#ifndef API_DLQ_FORGET_H
#define API_DLQ_FORGET_H

#include <strid/inspect.h>

#include "api/dlq_own.h"
#include "api/letter_ids.h"
#include "api/pipeline.h"

struct dlq_forget {
    struct dlq_own own;      /* the caller's; letters of other pipelines stay */
    struct dlq_marks *marks; /* the caller's; NULL: none, or not known */
    strid_dead_letter_fn fn; /* which letters go */
    void *user;
    struct buffer gone;     /* of those that go: length and id up to its number, of each */
    struct letter_ids kept; /* the same ids of those that stay */
};

/* For the purge of the queue; `user` is the struct. */
bool dlq_forget_take(void *user, const strid_output *letter);
/* Behind the purge. What cannot be done is logged: the letters are gone either way. */
void dlq_forget_marks(struct dlq_forget *forget, const strid_pipeline *pipeline);
void dlq_forget_fini(struct dlq_forget *forget);

#endif
