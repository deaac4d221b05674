#include "api/dlq_preview.h"

#include "api/dlq_anew.h"
#include "api/dlq_marks.h"
#include "api/dlq_own.h"
#include "api/letter_ids.h"

struct preview {
    strid_dead_letter_fn fn;
    void *user;
    bool again;
    struct letter_ids ids;
    struct dlq_own own;
    struct dlq_anew anew;
    strid_state_reader *reader;
    strid_dlq_replayed *result;
};

static bool take_letter(void *user, const strid_output *letter)
{
    struct preview *preview = user;
    strid_bytes base;
    uint32_t number;
    if (letter->dead_letter == NULL || !letter_ids_add(&preview->ids, letter->id) ||
        !dlq_own_is(&preview->own, letter) || !dlq_marks_split(letter->id, &base, &number))
        return true;
    if (!preview->again && dlq_marks_get(preview->reader, base) > (int64_t)number)
        return true;
    if (dlq_anew_ask(dlq_anew_read(&preview->anew, letter), letter, preview->fn, preview->user,
                     preview->result))
        preview->result->replayed++;
    return true;
}

strid_status dlq_preview(strid_pipeline *pipeline, const struct sink_instance *dlq, bool again,
                         strid_dead_letter_fn fn, void *user, strid_dlq_replayed *result,
                         strid_error *err)
{
    struct preview preview = {
        .fn = fn, .user = user, .again = again, .own = dlq_own_of(pipeline), .result = result};
    preview.reader = strid_state_reader_open(pipeline->definition->state_url, err);
    if (preview.reader == NULL)
        return err->status;
    pthread_mutex_lock(&pipeline->lock);
    strid_status status = dlq_anew_open(&preview.anew, pipeline, err);
    if (status == STRID_OK)
        status = dlq->definition->ops->browse(&dlq->args, take_letter, &preview, err);
    dlq_anew_close(&preview.anew);
    pipeline_close(pipeline, false);
    pthread_mutex_unlock(&pipeline->lock);
    strid_state_reader_close(preview.reader);
    letter_ids_fini(&preview.ids);
    dlq_own_end(&preview.own, &pipeline->log);
    return status;
}
