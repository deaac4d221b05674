#include "api/dlq_preview.h"

#include "api/dlq_anew.h"
#include "api/dlq_marks.h"

struct preview {
    struct dlq_anew anew;
    strid_state_reader *reader;
};

static bool take_letter(void *user, const strid_output *letter)
{
    struct preview *preview = user;
    struct dlq_anew *anew = &preview->anew;
    strid_bytes base;
    uint32_t number;
    if (!dlq_anew_meet(anew, letter, &base, &number))
        return true;
    if (!anew->again && dlq_marks_get(preview->reader, base) > (int64_t)number)
        return true;
    if (dlq_anew_ask(anew, dlq_anew_read(anew, letter), letter))
        anew->result.replayed++;
    return true;
}

strid_status dlq_preview(strid_pipeline *pipeline, const struct sink_instance *dlq, bool again,
                         strid_dead_letter_fn fn, void *user, strid_dlq_replayed *result,
                         strid_error *err)
{
    struct preview preview = {.anew = {.fn = fn, .user = user, .again = again}};
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
    *result = preview.anew.result;
    return status;
}
