#include "api/dlq_anew.h"

#include "api/dlq_marks.h"
#include "base/error.h"
#include "state/key.h"

strid_status dlq_anew_open(struct dlq_anew *anew, strid_pipeline *pipeline, strid_error *err)
{
    anew->ops = pipeline->definition->source.ops;
    anew->own = dlq_own_of(pipeline);
    anew->log = &pipeline->log;
    STRID_TRY(pipeline_open_source(pipeline, err));
    anew->source = pipeline->source;
    return decoder_create(&pipeline->definition->decode, false, &anew->decoder, err);
}

void dlq_anew_close(struct dlq_anew *anew)
{
    decoder_destroy(anew->decoder);
    buffer_fini(&anew->topic);
    letter_ids_fini(&anew->ids);
    dlq_own_end(&anew->own, anew->log);
}

bool dlq_anew_meet(struct dlq_anew *anew, const strid_output *letter, strid_bytes *base,
                   uint32_t *number)
{
    return letter->dead_letter != NULL && letter_ids_add(&anew->ids, letter->id) &&
           dlq_own_is(&anew->own, letter) && dlq_marks_split(letter->id, base, number) &&
           base->len <= KEY_RECORD_KEY_MAX; /* or somebody else's */
}

/* Letters of one topic mostly stand together, and a source may have many. */
static void find_identity(struct dlq_anew *anew, strid_bytes topic)
{
    if (anew->topic.len > 0 && strid_bytes_equal(buffer_bytes(&anew->topic), topic))
        return;
    buffer_clear(&anew->topic);
    buffer_put_bytes(&anew->topic, topic);
    anew->identity = NULL;
    uint32_t count = anew->ops->partition_count(anew->source);
    for (uint32_t p = 0; p < count && anew->identity == NULL; p++) {
        strid_partition_info info = {0};
        anew->ops->describe(anew->source, p, &info);
        if (strid_bytes_equal(strid_bytes_of_text(info.topic), topic))
            anew->identity = info.identity;
    }
}

/* A piece of a line that was too long, or the rest of one that had been read without it: raw and
 * text would take it for a record. */
static bool is_piece(strid_bytes reason)
{
    return strid_bytes_equal(reason, strid_bytes_of_text("line_too_long")) ||
           strid_bytes_equal(reason, strid_bytes_of_text("line_extended"));
}

enum dlq_fate dlq_anew_read(struct dlq_anew *anew, const strid_output *letter)
{
    const strid_dead_letter *origin = letter->dead_letter;
    strid_raw raw = {.value = letter->value};
    find_identity(anew, origin->topic);
    if (anew->identity == NULL)
        return DLQ_ORPHANED;
    anew->decoded = (struct decoded){.key = letter->key, .type = origin->type};
    if (anew->decoder != NULL)
        decoder_decode(anew->decoder, &raw, &anew->decoded);
    if (anew->decoded.fault != NULL || anew->decoded.skip || is_piece(origin->reason))
        return DLQ_UNREADABLE;
    return DLQ_GOES;
}

bool dlq_anew_ask(struct dlq_anew *anew, enum dlq_fate fate, const strid_output *letter)
{
    strid_dead_letter origin = *letter->dead_letter;
    strid_output output = *letter;
    origin.stays = fate != DLQ_GOES;
    output.dead_letter = &origin;
    if (!anew->fn(anew->user, &output))
        return false;
    anew->result.unreadable += fate == DLQ_UNREADABLE ? 1 : 0;
    anew->result.orphaned += fate == DLQ_ORPHANED ? 1 : 0;
    anew->result.left += fate == DLQ_LEFT ? 1 : 0;
    return fate == DLQ_GOES;
}
