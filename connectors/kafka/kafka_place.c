#define XXH_INLINE_ALL
#include "kafka_place.h"

#include "base/error.h"
#include "base/log.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

#define COMPONENT "kafka"

enum { QUERY_MS = 10000, READ_MS = 10000, FINGERPRINT_FORM = 1, FINGERPRINT_BYTES = 17 };

/* What the log holds now: offsets from `low` to before `high`. */
struct extent {
    uint64_t low, high;
};

static strid_status refuse(const struct kafka_place *place, const struct kafka_partition *partition,
                           const char *what, rd_kafka_resp_err_t code, strid_error *err)
{
    return error_set(err, STRID_EUNREACHABLE, COMPONENT,
                     "%s [%" PRId32 "] on %s: %s: %s; check the brokers", partition->topic->name,
                     partition->number, place->brokers, what, rd_kafka_err2str(code));
}

static strid_status find_extent(const struct kafka_place *place,
                                const struct kafka_partition *partition, struct extent *out,
                                strid_error *err)
{
    int64_t low = 0, high = 0;
    int tries = 0;
    rd_kafka_resp_err_t code;
    do
        code = rd_kafka_query_watermark_offsets(place->client, partition->topic->name,
                                                partition->number, &low, &high, QUERY_MS);
    while (kafka_client_try_again(code, &tries));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return refuse(place, partition, "its first and last offset are not known", code, err);
    *out = (struct extent){.low = (uint64_t)low, .high = (uint64_t)high};
    return STRID_OK;
}

static uint64_t hash_of(const rd_kafka_message_t *message)
{
    XXH3_state_t state;
    int64_t parts[4] = {(int64_t)message->key_len, message->key == NULL, (int64_t)message->len,
                        rd_kafka_message_timestamp(message, NULL)};
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, parts, sizeof parts);
    if (message->key != NULL)
        XXH3_64bits_update(&state, message->key, message->key_len);
    if (message->payload != NULL)
        XXH3_64bits_update(&state, message->payload, message->len);
    return XXH3_64bits_digest(&state);
}

/* `*found`: that very record is there; compaction and aborted transactions take records out. */
static strid_status hash_at(const struct kafka_place *place,
                            const struct kafka_partition *partition, uint64_t offset, bool *found,
                            uint64_t *hash, strid_error *err)
{
    rd_kafka_topic_t *topic = partition->topic->handle;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(place->client);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    *found = false;
    if (rd_kafka_consume_start_queue(topic, partition->number, (int64_t)offset, queue) != 0) {
        code = rd_kafka_last_error();
    } else {
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, READ_MS);
        code = message == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : message->err;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            *found = (uint64_t)message->offset == offset;
            *hash = hash_of(message);
        }
        if (message != NULL)
            rd_kafka_message_destroy(message);
        (void)rd_kafka_consume_stop(topic, partition->number);
    }
    rd_kafka_queue_destroy(queue);
    bool nothing =
        code == RD_KAFKA_RESP_ERR__PARTITION_EOF || code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || nothing)
        return STRID_OK;
    return refuse(place, partition, "a record that was read before cannot be read", code, err);
}

static strid_status take_fingerprint(const struct kafka_place *place,
                                     struct kafka_partition *partition, struct extent extent,
                                     strid_error *err)
{
    uint64_t at = partition->next > extent.low ? partition->next - 1 : partition->next;
    uint64_t hash = 0;
    bool found = false;
    partition->fingerprint_len = 0;
    if (at < extent.low || at >= extent.high)
        return STRID_OK;
    STRID_TRY(hash_at(place, partition, at, &found, &hash, err));
    if (!found)
        return STRID_OK;
    partition->fingerprint[0] = FINGERPRINT_FORM;
    memcpy(partition->fingerprint + 1, &at, sizeof at);
    memcpy(partition->fingerprint + 9, &hash, sizeof hash);
    partition->fingerprint_len = FINGERPRINT_BYTES;
    return STRID_OK;
}

static void stop(struct kafka_partition *partition, const char *what, struct extent extent)
{
    (void)error_set(&partition->stop, STRID_EGAP, COMPONENT,
                    "%s [%" PRId32 "] %s: offset %" PRIu64 " is next, the log holds %" PRIu64
                    " to before %" PRIu64 "; restore the topic, go on elsewhere with `strid reset` "
                    "or, where records were deleted, pass them with `on_gap: skip`",
                    partition->topic->name, partition->number, what, partition->next, extent.low,
                    extent.high);
}

static strid_status check_fingerprint(const struct kafka_place *place,
                                      struct kafka_partition *partition, struct extent extent,
                                      strid_bytes stored, strid_error *err)
{
    uint64_t at, known, hash = 0;
    bool found = false;
    if (stored.len != FINGERPRINT_BYTES || stored.data[0] != FINGERPRINT_FORM)
        return STRID_OK;
    memcpy(&at, stored.data + 1, sizeof at);
    memcpy(&known, stored.data + 9, sizeof known);
    if (at < extent.low || at >= extent.high)
        return STRID_OK; /* deleted by age; where the log ends before it, the place tells */
    STRID_TRY(hash_at(place, partition, at, &found, &hash, err));
    if (found && hash != known)
        stop(partition, "is not the topic that was read, it was deleted and made anew", extent);
    return STRID_OK;
}

static strid_status resume_at(const struct kafka_place *place, struct kafka_partition *partition,
                              const strid_resume *resume, struct extent extent, strid_error *err)
{
    partition->next = resume->position.low;
    if (partition->next > extent.high) {
        stop(partition, "was truncated, or deleted and made anew", extent);
        return STRID_OK;
    }
    STRID_TRY(check_fingerprint(place, partition, extent, resume->fingerprint, err));
    if (partition->stop.status != STRID_OK || partition->next >= extent.low)
        return STRID_OK;
    if (place->options->on_gap == KAFKA_GAP_STOP) {
        stop(partition, "has lost records that were not read yet, deleted by age or size", extent);
        return STRID_OK;
    }
    log_error(place->log, COMPONENT,
              "%s [%" PRId32 "]: offsets %" PRIu64 " to before %" PRIu64
              " were deleted before they were read, and are skipped (on_gap: skip)",
              partition->topic->name, partition->number, partition->next, extent.low);
    partition->next = extent.low;
    return STRID_OK;
}

/* -1: the group was never told anything. */
static strid_status find_committed(const struct kafka_place *place,
                                   const struct kafka_partition *partition, int64_t *out,
                                   strid_error *err)
{
    *out = -1;
    if (place->options->group == NULL)
        return STRID_OK;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(list, partition->topic->name, partition->number);
    rd_kafka_resp_err_t code;
    int tries = 0;
    do {
        code = rd_kafka_committed(place->client, list, QUERY_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            code = list->elems[0].err;
    } while (kafka_client_try_again(code, &tries));
    if (list->elems[0].offset >= 0)
        *out = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STRID_OK;
    return refuse(place, partition, "where its group stands is not known", code, err);
}

static strid_status find_time(const struct kafka_place *place, struct kafka_partition *partition,
                              struct extent extent, strid_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(list, partition->topic->name, partition->number);
    rd_kafka_resp_err_t code;
    int tries = 0;
    do {
        list->elems[0].offset = place->start.timestamp_ms;
        code = rd_kafka_offsets_for_times(place->client, list, QUERY_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            code = list->elems[0].err;
    } while (kafka_client_try_again(code, &tries));
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return refuse(place, partition, "the offset of a time is not known", code, err);
    partition->next = offset < 0 ? extent.high : (uint64_t)offset; /* all are older */
    return STRID_OK;
}

static strid_status begin_unsaid(const struct kafka_place *place,
                                 const struct kafka_partition *partition, strid_error *err)
{
    int64_t committed;
    STRID_TRY(find_committed(place, partition, &committed, err));
    if (committed < 0)
        return STRID_OK;
    return error_set(err, STRID_ESTATE, COMPONENT,
                     "the state is empty, but group %s has read %s [%" PRId32 "] up to %" PRId64
                     ": a lost disk, or another state directory? Give back the state, or say "
                     "where to begin: `start: group`, `earliest`, `latest` or `timestamp:MS`",
                     place->options->group, partition->topic->name, partition->number, committed);
}

/* Partitions that come to a topic later begin at their beginning, wherever the others began. */
static strid_status begin(const struct kafka_place *place, struct kafka_partition *partition,
                          const strid_resume *resume, struct extent extent, strid_error *err)
{
    int64_t committed = -1;
    partition->next = extent.low;
    if (!resume->fresh)
        return STRID_OK;
    switch (place->start.kind) {
    case KAFKA_START_UNSAID:
        return begin_unsaid(place, partition, err);
    case KAFKA_START_EARLIEST:
        break;
    case KAFKA_START_LATEST:
        partition->next = extent.high;
        break;
    case KAFKA_START_GROUP:
        STRID_TRY(find_committed(place, partition, &committed, err));
        partition->next = committed < 0 ? extent.low : (uint64_t)committed;
        if (partition->next < extent.low || partition->next > extent.high)
            stop(partition, "does not hold what its group is to read next", extent);
        break;
    case KAFKA_START_TIMESTAMP:
        return find_time(place, partition, extent, err);
    }
    return STRID_OK;
}

strid_status kafka_place_find(const struct kafka_place *place, struct kafka_partition *partition,
                              const strid_resume *resume, strid_error *err)
{
    struct extent extent;
    partition->stop = (strid_error)STRID_ERROR_INIT;
    STRID_TRY(find_extent(place, partition, &extent, err));
    partition->end = extent.high;
    if (resume->resumed)
        STRID_TRY(resume_at(place, partition, resume, extent, err));
    else
        STRID_TRY(begin(place, partition, resume, extent, err));
    if (partition->stop.status != STRID_OK)
        return STRID_OK;
    return take_fingerprint(place, partition, extent, err);
}
