#include "api/dlq.h"

#include "api/dlq_forget.h"
#include "api/dlq_marks.h"
#include "api/dlq_own.h"
#include "api/letter_ids.h"
#include "base/error.h"

/* Where the dead letters are, without a source or sink that stays open. Only the source knows of a
 * queue that nobody named; of one that was named it has nothing to say, and may be away or gone. */
strid_status dlq_find(strid_pipeline *pipeline, struct sink_instance *instance, strid_error *err)
{
    pthread_mutex_lock(&pipeline->lock);
    bool was_open = pipeline->source != NULL;
    *instance = (struct sink_instance){.args = {.struct_size = sizeof instance->args,
                                                .pipeline = pipeline->definition->name,
                                                .node = "",
                                                .log = &pipeline->log}};
    strid_status status = STRID_OK;
    if (pipeline->definition->dlq_url == NULL)
        status = pipeline_open_source(pipeline, err);
    if (status == STRID_OK)
        status = pipeline_prepare_dlq(pipeline, instance, err);
    if (!was_open)
        pipeline_close(pipeline, false);
    pthread_mutex_unlock(&pipeline->lock);
    const struct sink_definition *dlq = instance->definition;
    if (status != STRID_OK || dlq == NULL)
        return status;
    instance->args.scheme = dlq->ops->name;
    instance->args.url = dlq->url;
    instance->args.target = dlq->target;
    instance->args.options = dlq->options;
    return STRID_OK;
}

strid_status dlq_refuse(const strid_pipeline *pipeline, const struct sink_definition *dlq,
                        const char *what, strid_error *err)
{
    if (dlq == NULL)
        return error_set(err, STRID_EUNSUPPORTED, "dlq",
                         "%s has no dead-letter queue; `dlq: { url: ... }` would name one",
                         pipeline->definition->name);
    return error_set(err, STRID_EUNSUPPORTED, "dlq", "%s: its dead-letter queue (%s) cannot be %s",
                     pipeline->definition->name, dlq->url, what);
}

struct listing {
    struct letter_ids ids;
    struct dlq_own own;
    struct dlq_marks *marks; /* NULL: none, or not known */
    strid_dead_letter_fn fn;
    void *user;
};

static bool list_letter(void *user, const strid_output *letter)
{
    struct listing *listing = user;
    if (letter->id.len > 0 && !letter_ids_add(&listing->ids, letter->id))
        return true; /* the same letter once more */
    if (!dlq_own_is(&listing->own, letter))
        return true;
    return dlq_marks_show(listing->marks, letter, listing->fn, listing->user);
}

strid_status strid_dlq_list(strid_pipeline *pipeline, strid_dead_letter_fn fn, void *user,
                            strid_error *err)
{
    struct sink_instance dlq;
    STRID_TRY(dlq_find(pipeline, &dlq, err));
    if (dlq.definition == NULL || dlq.definition->ops->browse == NULL)
        return dlq_refuse(pipeline, dlq.definition, "listed", err);
    struct listing listing = {
        .own = dlq_own_of(pipeline), .marks = dlq_marks_open(pipeline), .fn = fn, .user = user};
    strid_status status = dlq.definition->ops->browse(&dlq.args, list_letter, &listing, err);
    letter_ids_fini(&listing.ids);
    dlq_own_end(&listing.own, &pipeline->log);
    dlq_marks_close(listing.marks);
    return status;
}

strid_status strid_dlq_purge(strid_pipeline *pipeline, strid_dead_letter_fn fn, void *user,
                             strid_dlq_purged *result, strid_error *err)
{
    strid_dlq_purged purged = {0};
    struct sink_instance dlq;
    STRID_TRY(dlq_find(pipeline, &dlq, err));
    if (dlq.definition == NULL || dlq.definition->ops->purge == NULL)
        return dlq_refuse(pipeline, dlq.definition, "purged", err);
    struct dlq_forget forget = {
        .own = dlq_own_of(pipeline), .marks = dlq_marks_open(pipeline), .fn = fn, .user = user};
    strid_status status =
        dlq.definition->ops->purge(&dlq.args, dlq_forget_take, &forget, &purged, err);
    dlq_own_end(&forget.own, &pipeline->log);
    dlq_marks_close(forget.marks); /* the state is opened anew, to be written to */
    if (status == STRID_OK)
        dlq_forget_marks(&forget, pipeline);
    dlq_forget_fini(&forget);
    if (result != NULL)
        *result = purged;
    return status;
}
