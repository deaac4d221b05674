/* Handing dead letters back to the node they come from, which is stopped: each one becomes a
 * waiting record that is due now, in a block of its own that holds its mark, too. So a crash leaves
 * a letter marked and waiting, or neither. Nothing is written to the user's file, nor to that of
 * the letters.
 *
 * The directory is brought into the form that a run starts from, so that its lock is held and all
 * that was there is in the store; heads and marks that this writes are kept beside it, to be read
 * back.
 * @thread the caller's */
#define XXH_INLINE_ALL
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "api/dlq.h"
#include "api/dlq_anew.h"
#include "api/dlq_directory.h"
#include "api/dlq_hand_back.h"
#include "api/dlq_marks.h"
#include "api/dlq_preview.h"
#include "base/crash_point.h"
#include "base/error.h"
#include "base/memory.h"
#include "runtime/worker_retry.h"
#include "runtime/worker_retry_mark.h"
#include "state/batch.h"
#include "state/block.h"
#include "state/cache.h"

enum {
    BATCH_BYTES = 4 * 1024 * 1024,  /* of blocks in one write */
    KEPT_BYTES = 256 * 1024 * 1024, /* of heads and marks, in one call */
    COMPONENT_KEY_BYTES = 4
};

struct replay {
    strid_pipeline *pipeline;
    struct directory *directory;
    struct dlq_anew anew;
    struct cache written; /* heads and marks; nothing leaves it */
    struct batch batch;
    struct buffer blocks; /* of the batch, one behind the other */
    struct buffer places; /* uint64_t: where each begins */
    struct buffer block, value, headers, found;
    int64_t now_ms;
    uint64_t sequence;  /* of the last block */
    uint64_t retry_seq; /* of the last waiting record */
    strid_status status;
    strid_error *err;
};

/* Under what the record of a letter waits. */
struct place {
    uint32_t partition; /* as the directory numbers it */
    uint8_t partition_key[COMPONENT_KEY_BYTES];
    strid_bytes key;
    uint32_t hash;
    uint8_t flags; /* RETRY_HEAD_* */
};

static bool fail(struct replay *replay, strid_status status)
{
    replay->status = status;
    return false;
}

static bool take_found(void *user, size_t index, strid_bytes value)
{
    struct replay *replay = user;
    (void)index;
    buffer_clear(&replay->found);
    buffer_put_bytes(&replay->found, value);
    return true;
}

/* What was written by this call, or else what is in the store; lives until the next call. */
static bool get(struct replay *replay, const struct key_state *key, struct key_value *value)
{
    const struct directory *directory = replay->directory;
    struct buffer encoded = {0};
    *value = (struct key_value){.kind = STRID_STATE_ABSENT};
    struct cache_key name = cache_key_from(key);
    const struct cache_entry *entry = cache_find_sub(&replay->written, &name);
    if (entry != NULL) {
        *value = (struct key_value){.kind = cache_kind(entry),
                                    .bytes = strid_bytes_of(cache_value(entry), entry->value_len)};
        return true;
    }
    encoded.len = key_put_state(buffer_reserve(&encoded, KEY_STATE_HEADER + key->key.len), key);
    strid_bytes encoded_key = buffer_bytes(&encoded);
    buffer_clear(&replay->found);
    strid_status status = directory->ops->get_many(directory->store, &encoded_key, 1, take_found,
                                                   replay, replay->err);
    buffer_fini(&encoded);
    if (status == STRID_OK && replay->found.len > 0 &&
        !key_get_value(buffer_bytes(&replay->found), value))
        status = error_set(replay->err, STRID_ECORRUPT, "dlq",
                           "an entry of %s fails its checksum; restore the directory from a backup",
                           directory->url);
    return status == STRID_OK || fail(replay, status);
}

static uint32_t hash_of(const struct replay *replay, strid_bytes key)
{
    return (uint32_t)(XXH3_64bits_withSeed(key.data, key.len, replay->directory->seed) >> 32);
}

static struct key_state mark_key(const struct replay *replay, strid_bytes base)
{
    return (struct key_state){.hash = hash_of(replay, base), .store = DLQ_MARKS_STORE, .key = base};
}

/* How often the record was handed back. */
static bool get_mark(struct replay *replay, strid_bytes base, int64_t *mark)
{
    struct key_state key = mark_key(replay, base);
    struct key_value value;
    *mark = 0;
    if (!get(replay, &key, &value))
        return false;
    if (value.kind == STRID_STATE_I64)
        memcpy(mark, value.bytes.data, sizeof *mark);
    return true;
}

/* The partition that the record was read from, which may have another number now. */
static bool find_partition(const struct replay *replay, const char *identity, uint32_t *number)
{
    for (uint32_t i = 0; i < replay->directory->partition_count; i++)
        if (strcmp(replay->directory->partitions[i]->identity, identity) == 0) {
            *number = replay->directory->partitions[i]->number;
            return true;
        }
    return false;
}

static struct place place_of(struct replay *replay, uint32_t partition, strid_bytes key)
{
    strid_ordering ordering = replay->pipeline->definition->retry.ordering;
    struct place place = {.partition = partition, .key = key};
    memcpy(place.partition_key, &partition, sizeof partition);
    if (key.data == NULL || ordering == STRID_ORDERING_PARTITION)
        place.flags = RETRY_HEAD_KEYLESS;
    if (ordering == STRID_ORDERING_PARTITION)
        place.flags |= RETRY_HEAD_PARTITION;
    if (ordering == STRID_ORDERING_NONE)
        place.flags |= RETRY_HEAD_ALONE;
    return place;
}

/* `name` receives key and subkey; `subkey` NULL: none. */
static struct key_state entry_key(const struct place *place, uint8_t store, const uint8_t *subkey,
                                  struct buffer *name)
{
    bool keyless = (place->flags & RETRY_HEAD_KEYLESS) != 0;
    buffer_clear(name);
    if (keyless)
        buffer_put(name, place->partition_key, sizeof place->partition_key);
    else
        buffer_put_bytes(name, place->key);
    if (subkey != NULL)
        buffer_put(name, subkey, RETRY_SUBKEY_BYTES);
    return (struct key_state){.hash = place->hash,
                              .sub_len = subkey == NULL ? 0 : RETRY_SUBKEY_BYTES,
                              .store = (uint8_t)(store | (keyless ? KEY_STORE_KEYLESS : 0)),
                              .key = buffer_bytes(name)};
}

/* The key's head with one more entry: behind what waits already, or due now. */
static bool make_head(struct replay *replay, const struct place *place, uint64_t seq, size_t bytes,
                      struct retry_head *head)
{
    struct buffer name = {0};
    struct key_value value = {.kind = STRID_STATE_ABSENT};
    struct key_state key = entry_key(place, WORKER_RETRY_HEAD_STORE, NULL, &name);
    bool read = (place->flags & RETRY_HEAD_ALONE) != 0 || get(replay, &key, &value);
    buffer_fini(&name);
    if (!read)
        return false;
    *head = (struct retry_head){.first_seq = seq,
                                .last_seq = seq,
                                .bytes = bytes,
                                .due_ms = replay->now_ms,
                                .partition = place->partition,
                                .flags = place->flags};
    if (value.kind == STRID_STATE_ABSENT)
        return true;
    if (!retry_record_get_head(value.bytes, head))
        return fail(replay, error_set(replay->err, STRID_EVERSION, "dlq",
                                      "what waits in %s was written by a later version of strid: "
                                      "hand the letters back with that one",
                                      replay->directory->url));
    head->last_seq++;
    head->bytes += bytes;
    return true;
}

/* The record's own headers, and how often it was handed back. */
static void put_headers(struct replay *replay, const strid_output *letter, strid_bytes count,
                        strid_record *record)
{
    buffer_clear(&replay->headers);
    strid_bytes name = strid_bytes_of_text(STRID_HEADER_REPLAYS);
    for (uint32_t i = 0; i < letter->header_count; i++)
        if (!strid_bytes_equal(letter->headers[i].name, name))
            buffer_put(&replay->headers, &letter->headers[i], sizeof *letter->headers);
    buffer_put(&replay->headers, &(strid_header){name, count}, sizeof(strid_header));
    record->headers = (const strid_header *)(const void *)replay->headers.data;
    record->header_count = (uint32_t)(replay->headers.len / sizeof(strid_header));
}

/* Into the block, and to where get() finds it. */
static void put_kept(struct replay *replay, const struct key_state *key,
                     const struct key_value *value)
{
    struct cache_key name = cache_key_from(key);
    block_put_state(&replay->block, key, value);
    (void)cache_set(&replay->written, &name, value);
}

/* That keys of the vshard wait; returns how many entries that took. */
static uint32_t put_vshard(struct replay *replay, uint32_t hash)
{
    const int64_t one = 1;
    struct key_state key = worker_store_mark_key(WORKER_RETRY_MARK_STORE, hash >> 24);
    if (!replay->directory->has_marks)
        return 0;
    block_put_state(
        &replay->block, &key,
        &(struct key_value){.kind = STRID_STATE_I64, .bytes = strid_bytes_of(&one, sizeof one)});
    return 1;
}

/* Record, head, the vshard's mark and the letter's, in one block. */
static bool put_block(struct replay *replay, const struct place *place,
                      const struct retry_record *record, strid_bytes base, int64_t mark)
{
    struct buffer name = {0}, bytes = {0};
    struct retry_head head;
    uint8_t subkey[RETRY_SUBKEY_BYTES];
    buffer_clear(&replay->value);
    retry_record_put(&replay->value, record);
    if (!make_head(replay, place, replay->retry_seq + 1, replay->value.len, &head))
        return false;
    uint64_t seq = head.last_seq;
    replay->retry_seq = seq > replay->retry_seq ? seq : replay->retry_seq;
    retry_record_subkey(subkey, seq);
    buffer_clear(&replay->block);
    block_begin(&replay->block);
    struct key_state key = entry_key(place, WORKER_RETRY_STORE, subkey, &name);
    block_put_state(
        &replay->block, &key,
        &(struct key_value){.kind = STRID_STATE_BYTES, .bytes = buffer_bytes(&replay->value)});
    retry_record_put_head(&bytes, &head);
    key = entry_key(place, WORKER_RETRY_HEAD_STORE,
                    (place->flags & RETRY_HEAD_ALONE) != 0 ? subkey : NULL, &name);
    put_kept(replay, &key,
             &(struct key_value){.kind = STRID_STATE_BYTES, .bytes = buffer_bytes(&bytes)});
    key = mark_key(replay, base);
    put_kept(
        replay, &key,
        &(struct key_value){.kind = STRID_STATE_I64, .bytes = strid_bytes_of(&mark, sizeof mark)});
    uint32_t entries = 3 + put_vshard(replay, place->hash);
    block_end(&replay->block, replay->directory->run.run, 0, ++replay->sequence, 0, entries);
    block_number(&replay->block, ++replay->directory->last_number, replay->directory->synced);
    uint64_t at = replay->blocks.len;
    buffer_put(&replay->places, &at, sizeof at);
    buffer_put_bytes(&replay->blocks, buffer_bytes(&replay->block));
    buffer_fini(&name);
    buffer_fini(&bytes);
    return true;
}

static bool write_out(struct replay *replay)
{
    struct directory *directory = replay->directory;
    size_t count = replay->places.len / sizeof(uint64_t);
    uint64_t first = directory->last_number - count + 1;
    uint8_t key[KEY_FIXED_MAX];
    batch_clear(&replay->batch);
    for (size_t i = 0; i < count; i++) {
        uint64_t at, end = replay->blocks.len;
        memcpy(&at, replay->places.data + i * sizeof at, sizeof at);
        if (i + 1 < count)
            memcpy(&end, replay->places.data + (i + 1) * sizeof end, sizeof end);
        batch_put_borrowed(&replay->batch, strid_bytes_of(key, key_put_block(key, first + i)),
                           strid_bytes_of(replay->blocks.data + at, end - at));
    }
    CRASH_POINT("dlq_replay_before_write");
    strid_status status =
        batch_apply(&replay->batch, directory->ops, directory->store, replay->err);
    CRASH_POINT("dlq_replay_written");
    if (status == STRID_OK && count > 0)
        status = directory->ops->sync(directory->store, replay->err);
    CRASH_POINT("dlq_replay_synced");
    if (status != STRID_OK)
        return fail(replay, status);
    directory->synced = directory->last_number;
    replay->anew.result.replayed += count;
    buffer_clear(&replay->blocks);
    buffer_clear(&replay->places);
    return true;
}

/* The record anew: the pipeline may be another one than when it failed. */
static bool hand_back(struct replay *replay, const strid_output *letter, strid_bytes base,
                      int64_t mark, uint32_t partition)
{
    const strid_dead_letter *origin = letter->dead_letter;
    const struct decoded *decoded = &replay->anew.decoded;
    char count[24];
    (void)snprintf(count, sizeof count, "%" PRId64, mark);
    struct place place = place_of(replay, partition, decoded->key);
    if ((place.flags & RETRY_HEAD_KEYLESS) != 0)
        place.hash = hash_of(replay, strid_bytes_of(place.partition_key, COMPONENT_KEY_BYTES));
    else
        place.hash = hash_of(replay, place.key);
    struct retry_record record = {.record = {.key = decoded->key,
                                             .value = letter->value,
                                             .type = decoded->type,
                                             .position = origin->position,
                                             .timestamp_ms = letter->timestamp_ms},
                                  .partition = partition,
                                  .topic = origin->topic};
    put_headers(replay, letter, strid_bytes_of_text(count), &record.record);
    return put_block(replay, &place, &record, base, mark) &&
           (replay->blocks.len < BATCH_BYTES || write_out(replay));
}

static bool take_letter(void *user, const strid_output *letter)
{
    struct replay *replay = user;
    struct dlq_anew *anew = &replay->anew;
    strid_bytes base;
    uint32_t number, partition = 0;
    int64_t mark;
    if (!dlq_anew_meet(anew, letter, &base, &number))
        return true;
    if (!get_mark(replay, base, &mark))
        return false;
    bool marked = mark > (int64_t)number;
    if (marked && !anew->again)
        return true;
    enum dlq_fate fate = dlq_anew_read(anew, letter);
    if (fate == DLQ_GOES && !find_partition(replay, anew->identity, &partition))
        fate = DLQ_ORPHANED;
    if (fate == DLQ_GOES && cache_used_bytes(&replay->written) >= KEPT_BYTES)
        fate = DLQ_LEFT;
    if (!dlq_anew_ask(anew, fate, letter))
        return true;
    return hand_back(replay, letter, base, (marked ? mark : (int64_t)number) + 1, partition);
}

static bool see_head(void *user, strid_bytes encoded_key, strid_bytes encoded_value)
{
    struct replay *replay = user;
    struct key_value value;
    struct retry_head head;
    (void)encoded_key;
    if (key_get_value(encoded_value, &value) && retry_record_get_head(value.bytes, &head) &&
        head.last_seq > replay->retry_seq)
        replay->retry_seq = head.last_seq;
    return true;
}

/* The highest sequence in use: those of this call are above it. */
static strid_status find_sequence(struct replay *replay)
{
    return dlq_directory_scan(replay->directory, WORKER_RETRY_HEAD_STORE, see_head, replay,
                              replay->err);
}

static strid_status begin(struct replay *replay)
{
    STRID_TRY(
        dlq_directory_begin(replay->pipeline, replay->now_ms, &replay->directory, replay->err));
    CRASH_POINT("dlq_replay_begun");
    return find_sequence(replay);
}

static void end(struct replay *replay)
{
    directory_close(replay->directory);
    cache_fini(&replay->written);
    dlq_anew_close(&replay->anew);
    batch_fini(&replay->batch);
    buffer_fini(&replay->blocks);
    buffer_fini(&replay->places);
    buffer_fini(&replay->block);
    buffer_fini(&replay->value);
    buffer_fini(&replay->headers);
    buffer_fini(&replay->found);
}

static strid_status check(strid_pipeline *pipeline, const struct sink_instance *dlq,
                          strid_error *err)
{
    const struct definition *definition = pipeline->definition;
    if (dlq->definition == NULL || dlq->definition->ops->browse == NULL)
        return dlq_refuse(pipeline, dlq->definition, "listed", err);
    if ((definition->source.ops->flags & STRID_SOURCE_PRIVATE) == 0)
        return error_set(err, STRID_EUNSUPPORTED, "dlq",
                         "dead letters of a %s: source cannot be handed back yet: produce the "
                         "values that `strid dlq show --json` gives",
                         definition->source.ops->name);
    if (definition->state_url == NULL || strncmp(definition->state_url, "memory:", 7) == 0)
        return error_set(err, STRID_EUNSUPPORTED, "dlq",
                         "%s keeps no state on disk, and dead letters are handed back through it: "
                         "give the pipeline a state directory",
                         definition->name);
    return STRID_OK;
}

strid_status strid_dlq_replay(strid_pipeline *pipeline, uint32_t flags, strid_dead_letter_fn fn,
                              void *user, strid_dlq_replayed *result, strid_error *err)
{
    struct sink_instance dlq;
    bool again = (flags & STRID_REPLAY_AGAIN) != 0, dry = (flags & STRID_REPLAY_DRY) != 0;
    struct replay replay = {.pipeline = pipeline,
                            .anew = {.fn = fn, .user = user, .again = again},
                            .now_ms = clock_wall_ms(&clock_system),
                            .err = err};
    *result = (strid_dlq_replayed){0};
    STRID_TRY(dlq_find(pipeline, &dlq, err));
    if (pipeline->definition->source.ops->hand_back != NULL)
        return dlq_hand_back(pipeline, &dlq, flags, fn, user, result, err);
    STRID_TRY(check(pipeline, &dlq, err));
    if (dry)
        return dlq_preview(pipeline, &dlq, again, fn, user, result, err);
    cache_init(&replay.written, KEPT_BYTES, false);
    pthread_mutex_lock(&pipeline->lock);
    strid_status status = dlq_anew_open(&replay.anew, pipeline, err);
    if (status == STRID_OK)
        status = begin(&replay);
    if (status == STRID_OK)
        status = dlq.definition->ops->browse(&dlq.args, take_letter, &replay, err);
    if (status == STRID_OK)
        status = replay.status;
    if (status == STRID_OK && replay.places.len > 0 && !write_out(&replay))
        status = replay.status;
    end(&replay);
    pipeline_close(pipeline, false);
    pthread_mutex_unlock(&pipeline->lock);
    *result = replay.anew.result;
    return status;
}
