/* A waiting record as a slot of a chunk, as its handlers know it. */
#include "base/error.h"
#include "runtime/worker_retry.h"

/* Fields are found in the value once more. false: the run failed. */
static bool decode(struct worker *worker, struct chunk_slot *slot)
{
    struct worker_retry *retry = &worker->retry;
    const struct decode_definition *definition = &worker->run->definition->decode;
    strid_error err = STRID_ERROR_INIT;
    struct decoded decoded;
    if (definition->field_count == 0 || slot->fault != NULL)
        return true;
    if (retry->decoder == NULL &&
        decoder_create(definition, false, &retry->decoder, &err) != STRID_OK) {
        run_fail(worker->run, &err);
        worker->context.failed = true;
        return false;
    }
    strid_raw raw = {.key = slot->record.key, .value = slot->record.value};
    decoder_decode(retry->decoder, &raw, &decoded);
    /* Only where the pipeline was changed since: the record was readable then. */
    slot->fault = decoded.skip ? chunk_unmatched : decoded.fault;
    slot->record.fields = decoded.fields;
    slot->record.field_count = definition->field_count;
    return true;
}

/* The record as it was in its chunk. */
bool worker_retry_fill_slot(struct worker *worker, const struct retry_record *record,
                            const struct waiting_key *key)
{
    struct worker_retry *retry = &worker->retry;
    struct partition *partition = worker->context.partition;
    struct chunk_slot *slot = &retry->slot;
    *slot = (struct chunk_slot){.record = record->record, .hash = key->hash >> 32 << 32};
    slot->record.origin = &partition->origin;
    bool readable = true;
    if (record->attempt == 0 &&
        strid_bytes_equal(record->reason, strid_bytes_of_text(suspect_fault))) {
        slot->fault = suspect_fault;
    } else if (record->attempt == 0 && record->reason.len > 0) {
        buffer_clear(&retry->fault);
        buffer_put_bytes(&retry->fault, record->reason);
        buffer_put_u8(&retry->fault, '\0');
        slot->fault = (const char *)retry->fault.data;
        readable = false; /* it belongs to its partition, whatever key came with it */
    }
    if (readable && (key->head.flags & RETRY_HEAD_PARTITION) != 0 &&
        record->record.key.data != NULL)
        slot->hash = run_hash_key(worker->run, record->record.key);
    return decode(worker, slot);
}
