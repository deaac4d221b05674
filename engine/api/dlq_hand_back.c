#include "api/dlq_hand_back.h"

#include <string.h>

#include "api/dlq_own.h"
#include "api/letter_ids.h"
#include "base/error.h"

struct hand_back {
    strid_dead_letter_fn fn;
    void *user;
    bool again;
    strid_dlq_replayed *result;
    struct letter_ids ids;
    struct dlq_own own;
};

/* A letter that stands there twice is handed back once, and one that was handed back is left. */
static strid_letter_fate decide(void *user, const strid_output *letter)
{
    struct hand_back *hand_back = user;
    if (!dlq_own_is(&hand_back->own, letter))
        return STRID_LETTER_STAYS;
    bool was = letter->dead_letter != NULL && letter->dead_letter->replayed;
    if ((was && !hand_back->again) || !hand_back->fn(hand_back->user, letter))
        return STRID_LETTER_STAYS;
    if (letter->id.len > 0 && !letter_ids_add(&hand_back->ids, letter->id))
        return STRID_LETTER_GOES;
    return STRID_LETTER_RETURNS;
}

/* Whether a letter can be read is known where it is handed back. */
static bool preview(void *user, const strid_output *letter)
{
    struct hand_back *hand_back = user;
    bool was = letter->dead_letter != NULL && letter->dead_letter->replayed;
    if ((!was || hand_back->again) && hand_back->fn(hand_back->user, letter))
        hand_back->result->replayed++;
    return true;
}

strid_status dlq_hand_back(strid_pipeline *pipeline, const struct sink_instance *dlq,
                           uint32_t flags, strid_dead_letter_fn fn, void *user,
                           strid_dlq_replayed *result, strid_error *err)
{
    const strid_source_ops *ops = pipeline->definition->source.ops;
    struct hand_back hand_back = {.fn = fn,
                                  .user = user,
                                  .again = (flags & STRID_REPLAY_AGAIN) != 0,
                                  .result = result,
                                  .own = dlq_own_of(pipeline)};
    if (dlq->definition == NULL || strcmp(dlq->definition->ops->name, ops->name) != 0)
        return dlq_refuse(pipeline, dlq->definition, "handed back to its source", err);
    if ((flags & STRID_REPLAY_DRY) != 0)
        return strid_dlq_list(pipeline, preview, &hand_back, err);
    pthread_mutex_lock(&pipeline->lock);
    strid_status status = pipeline_open_source(pipeline, err);
    if (status == STRID_OK)
        status = ops->hand_back(pipeline->source, &dlq->args, decide, &hand_back, result, err);
    pipeline_close(pipeline, false);
    pthread_mutex_unlock(&pipeline->lock);
    letter_ids_fini(&hand_back.ids);
    dlq_own_end(&hand_back.own, &pipeline->log);
    return status;
}
