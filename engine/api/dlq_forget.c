#include "api/dlq_forget.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "api/dlq_directory.h"
#include "api/dlq_marks.h"
#include "base/clock.h"
#include "base/crash_point.h"
#include "base/error.h"
#include "runtime/outbox.h"
#include "state/batch.h"
#include "state/block.h"

enum {
    GONE_BYTES = 64 * 1024 * 1024, /* of ids in memory; marks of further letters stay */
    BLOCK_MARKS = 4096
};

struct outbox_scan {
    struct dlq_forget *forget;
    const char *pipeline;
    struct buffer headers, id;
    bool damaged;
};

void dlq_forget_fini(struct dlq_forget *forget)
{
    buffer_fini(&forget->gone);
    letter_ids_fini(&forget->kept);
}

bool dlq_forget_take(void *user, const strid_output *letter)
{
    struct dlq_forget *forget = user;
    strid_bytes base;
    uint32_t number;
    if (!dlq_own_is(&forget->own, letter))
        return false;
    bool goes = dlq_marks_show(forget->marks, letter, forget->fn, forget->user);
    if (letter->dead_letter == NULL || !dlq_marks_split(letter->id, &base, &number) ||
        base.len > KEY_RECORD_KEY_MAX)
        return goes;
    if (!goes) {
        (void)letter_ids_add(&forget->kept, base);
    } else if (forget->gone.len < GONE_BYTES) {
        buffer_put_u32(&forget->gone, (uint32_t)base.len);
        buffer_put_bytes(&forget->gone, base);
    }
    return goes;
}

/* Leaves those of `gone` that have a mark and no other letter in the queue. */
static strid_status keep_marked(struct dlq_forget *forget, const char *url, strid_error *err)
{
    struct buffer marked = {0};
    strid_state_reader *reader = strid_state_reader_open(url, err);
    if (reader == NULL)
        return err->status;
    for (struct cursor cursor = cursor_of(buffer_bytes(&forget->gone)); cursor.at < cursor.end;) {
        uint32_t len = cursor_u32(&cursor);
        strid_bytes base = cursor_bytes(&cursor, len);
        if (letter_ids_has(&forget->kept, base) || dlq_marks_get(reader, base) == 0)
            continue;
        buffer_put_u32(&marked, len);
        buffer_put_bytes(&marked, base);
    }
    strid_state_reader_close(reader);
    buffer_fini(&forget->gone);
    forget->gone = marked;
    return STRID_OK;
}

static bool keep_waiting(void *user, strid_bytes encoded_key, strid_bytes encoded_value)
{
    struct outbox_scan *scan = user;
    struct key_value value;
    struct outbox_record record;
    strid_bytes base;
    uint32_t number;
    (void)encoded_key;
    if (!key_get_value(encoded_value, &value)) {
        scan->damaged = true;
        return false;
    }
    if (value.kind != STRID_STATE_BYTES)
        return true; /* a count */
    if (!outbox_record_get(value.bytes, &scan->headers, &record)) {
        scan->damaged = true;
        return false;
    }
    buffer_clear(&scan->id);
    output_put_id(&scan->id, scan->pipeline, record.letter.topic, record.partition,
                  record.letter.record.position, "dlq", record.ordinal);
    if (dlq_marks_split(buffer_bytes(&scan->id), &base, &number))
        (void)letter_ids_add(&scan->forget->kept, base);
    return true;
}

/* Letters that wait in the outbox count as if they were in the queue. */
static strid_status look_into_outbox(struct dlq_forget *forget, const struct directory *directory,
                                     strid_error *err)
{
    struct outbox_scan scan = {.forget = forget, .pipeline = directory->pipeline};
    strid_status status = dlq_directory_scan(directory, OUTBOX_STORE, keep_waiting, &scan, err);
    buffer_fini(&scan.headers);
    buffer_fini(&scan.id);
    if (status == STRID_OK && scan.damaged)
        status = error_set(err, STRID_ECORRUPT, "dlq", "the outbox in %s cannot be read",
                           directory->url);
    return status;
}

/* A block without marks is not written. */
static strid_status write_block(struct directory *directory, struct buffer *block,
                                uint64_t sequence, uint32_t count, strid_error *err)
{
    struct batch batch = {0};
    uint8_t key[KEY_FIXED_MAX];
    if (count == 0)
        return STRID_OK;
    block_end(block, directory->run.run, 0, sequence, 0, count);
    block_number(block, ++directory->last_number, directory->synced);
    batch_put_borrowed(&batch, strid_bytes_of(key, key_put_block(key, directory->last_number)),
                       buffer_bytes(block));
    strid_status status = batch_apply(&batch, directory->ops, directory->store, err);
    CRASH_POINT("dlq_marks_deleted");
    batch_fini(&batch);
    return status;
}

static strid_status delete_marks(const struct dlq_forget *forget, struct directory *directory,
                                 strid_error *err)
{
    struct cursor cursor = cursor_of(buffer_bytes(&forget->gone));
    struct buffer block = {0};
    strid_status status = STRID_OK;
    uint64_t sequence = 0;
    while (status == STRID_OK && cursor.at < cursor.end) {
        uint32_t count = 0;
        buffer_clear(&block);
        block_begin(&block);
        while (count < BLOCK_MARKS && cursor.at < cursor.end) {
            uint32_t len = cursor_u32(&cursor);
            strid_bytes base = cursor_bytes(&cursor, len);
            if (letter_ids_has(&forget->kept, base))
                continue;
            uint64_t hash = XXH3_64bits_withSeed(base.data, base.len, directory->seed);
            struct key_state key = {
                .hash = (uint32_t)(hash >> 32), .store = DLQ_MARKS_STORE, .key = base};
            block_put_state(&block, &key, &(struct key_value){.kind = STRID_STATE_ABSENT});
            count++;
        }
        status = write_block(directory, &block, ++sequence, count, err);
    }
    buffer_fini(&block);
    return status == STRID_OK ? directory->ops->sync(directory->store, err) : status;
}

static strid_status forget_marks(struct dlq_forget *forget, const strid_pipeline *pipeline,
                                 strid_error *err)
{
    struct directory *directory = NULL;
    STRID_TRY(keep_marked(forget, pipeline->definition->state_url, err));
    if (forget->gone.len == 0)
        return STRID_OK;
    strid_status status =
        dlq_directory_begin(pipeline, clock_wall_ms(&clock_system), &directory, err);
    if (status == STRID_OK)
        status = look_into_outbox(forget, directory, err);
    if (status == STRID_OK)
        status = delete_marks(forget, directory, err);
    directory_close(directory);
    return status;
}

void dlq_forget_marks(struct dlq_forget *forget, const strid_pipeline *pipeline)
{
    const struct definition *definition = pipeline->definition;
    strid_error err = STRID_ERROR_INIT;
    if (forget->gone.len == 0 || definition->state_url == NULL || pipeline->run != NULL ||
        (definition->source.ops->flags & STRID_SOURCE_PRIVATE) == 0 ||
        !letter_ids_are_all(&forget->kept))
        return;
    strid_status status = forget_marks(forget, pipeline, &err);
    if (status == STRID_EBUSY)
        log_info(&pipeline->log, "dlq",
                 "the node is running: which of the letters had been handed back stays noted");
    else if (status != STRID_OK && status != STRID_ENOTFOUND)
        log_warn(&pipeline->log, "dlq", "which of the letters had been handed back stays noted: %s",
                 err.message);
}
