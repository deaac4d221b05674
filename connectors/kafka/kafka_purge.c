#include "kafka_purge.h"

#include <strid/inspect.h>

#include "base/crash_point.h"
#include "base/error.h"
#include "base/memory.h"

#include "kafka_transaction.h"
#include "kafka_trim.h"
#include "kafka_walk.h"

#include <string.h>

/* What becomes of a partition. */
struct share {
    bool is_cut;   /* something stays */
    int64_t cut;   /* the first offset that stays */
    uint64_t gone; /* letters before it */
};

struct purge {
    const strid_connector_args *args;
    bool (*fn)(void *user, const strid_output *letter);
    void *user;
    struct kafka_walk walk;
    struct kafka_transaction transaction; /* over the topic where a mark was needed last */
    struct share *shares;                 /* by place */
    uint64_t marked;
    struct strid_dlq_purged *result;
};

static uint64_t bytes_of(const struct kafka_walk_record *record)
{
    const rd_kafka_message_t *message = record->message;
    uint64_t bytes = message->len + message->key_len;
    rd_kafka_headers_t *headers = NULL;
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return bytes;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == 0; i++)
        bytes += strlen(name) + len;
    return bytes;
}

static strid_status open_over(struct purge *purge, const char *topic, strid_error *err)
{
    struct kafka_transaction *transaction = &purge->transaction;
    if (transaction->producer != NULL && strcmp(transaction->topic, topic) == 0)
        return STRID_OK;
    STRID_TRY(kafka_transaction_commit(transaction, &purge->marked, err));
    kafka_transaction_close(transaction);
    return kafka_transaction_open(transaction, purge->args, topic, "purged", err);
}

static strid_status mark(struct purge *purge, const struct kafka_walk_record *record,
                         enum kafka_mark_kind kind, strid_error *err)
{
    struct kafka_transaction *transaction = &purge->transaction;
    STRID_TRY(open_over(purge, rd_kafka_topic_name(record->message->rkt), err));
    STRID_TRY(kafka_transaction_enter(transaction, err));
    STRID_TRY(
        kafka_transaction_mark(transaction, record->message, kind, record->letter->output.id, err));
    CRASH_POINT("dlq_topic_marking");
    return STRID_OK;
}

/* Whether a mark of that kind stands where the partition of the record is not cut off. One that
 * stands elsewhere, for another copy of the letter, may go with what is deleted there. */
static bool is_marked(const struct kafka_walk_record *record, enum kafka_mark_kind kind,
                      const struct share *share)
{
    return kind == KAFKA_MARK_NONE ||
           (record->mark.kind == kind && record->mark.place == record->place &&
            record->mark.offset > share->cut);
}

static bool chooses(struct purge *purge, const struct kafka_walk_record *record)
{
    if (record->letter == NULL || record->mark.kind == KAFKA_MARK_PURGED)
        return record->letter != NULL;
    if (!purge->fn(purge->user, &record->letter->output))
        return false;
    /* Its other copies go without being asked about. No mark stands there for them. */
    kafka_marks_note(&purge->walk.marks, record->letter->output.id,
                     (struct kafka_mark){KAFKA_MARK_PURGED, record->place, -1});
    return true;
}

static strid_status see(void *user, const struct kafka_walk_record *record, bool *more,
                        strid_error *err)
{
    struct purge *purge = user;
    struct share *share = &purge->shares[record->place];
    bool goes = chooses(purge, record);
    (void)more;
    if (goes && !share->is_cut) {
        share->gone++;
        return STRID_OK;
    }
    if (!share->is_cut) {
        share->is_cut = true;
        share->cut = record->message->offset;
    }
    if (goes) {
        purge->result->kept++;
        purge->result->kept_bytes += bytes_of(record);
    }
    enum kafka_mark_kind kind = goes ? KAFKA_MARK_PURGED : record->mark.kind;
    return is_marked(record, kind, share) ? STRID_OK : mark(purge, record, kind, err);
}

/* The brokers put out who leaves a transaction open, however many records need none meanwhile. */
static strid_status see_and_settle(void *user, const struct kafka_walk_record *record, bool *more,
                                   strid_error *err)
{
    struct purge *purge = user;
    STRID_TRY(see(user, record, more, err));
    return kafka_transaction_is_due(&purge->transaction)
               ? kafka_transaction_commit(&purge->transaction, &purge->marked, err)
               : STRID_OK;
}

static strid_status cut_off(struct purge *purge, strid_error *err)
{
    struct kafka_walk *walk = &purge->walk;
    rd_kafka_topic_partition_list_t *before = rd_kafka_topic_partition_list_new(1);
    for (uint32_t i = 0; i < walk->place_count; i++) {
        const struct kafka_walk_place *place = &walk->places[i];
        const struct share *share = &purge->shares[i];
        if (share->gone > 0)
            rd_kafka_topic_partition_list_add(before, place->topic, place->partition)->offset =
                share->is_cut ? share->cut : place->end;
    }
    strid_status status = kafka_trim(walk->client, walk->target.brokers, before, err);
    rd_kafka_topic_partition_list_destroy(before);
    return status;
}

strid_status kafka_purge(const strid_connector_args *args,
                         bool (*fn)(void *user, const strid_output *letter), void *user,
                         struct strid_dlq_purged *result, strid_error *err)
{
    struct purge purge = {.args = args, .fn = fn, .user = user, .result = result};
    strid_status status = kafka_walk_open(&purge.walk, args, err);
    if (status == STRID_OK)
        status = kafka_walk_marks(&purge.walk, kafka_walk_all(&purge.walk), err);
    if (status == STRID_OK) {
        purge.shares = memory_alloc_zeroed((purge.walk.place_count + 1) * sizeof *purge.shares);
        status = kafka_walk_records(&purge.walk, kafka_walk_all(&purge.walk), see_and_settle,
                                    &purge, err);
    }
    if (status == STRID_OK)
        status = kafka_transaction_commit(&purge.transaction, &purge.marked, err);
    CRASH_POINT("dlq_topic_marked");
    if (status == STRID_OK)
        status = cut_off(&purge, err);
    CRASH_POINT("dlq_topic_deleted");
    kafka_transaction_close(&purge.transaction);
    kafka_walk_close(&purge.walk);
    memory_free(purge.shares);
    return status;
}
