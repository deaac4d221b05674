#include "kafka_hand_back.h"

#include <strid/inspect.h>

#include "base/error.h"

#include "kafka_transaction.h"
#include "kafka_walk.h"

#include <string.h>

#define COMPONENT "kafka"

enum { CLUSTER_MS = 10000 };

struct hand_back {
    const struct kafka_session *session;
    const strid_connector_args *queue;
    strid_letter_fate_fn fn;
    void *user;
    struct kafka_walk walk;
    struct kafka_transaction transaction; /* over the topic that is gone through */
    struct strid_dlq_replayed *result;
};

static bool has_partition(const struct kafka_session *session, strid_bytes topic,
                          uint32_t partition, const char **name)
{
    for (uint32_t t = 0; t < session->topics.count; t++) {
        *name = session->topics.items[t].name;
        if (strid_bytes_equal(strid_bytes_of_text(*name), topic))
            return partition < session->topics.items[t].partitions;
    }
    return false;
}

static strid_status return_letter(struct hand_back *hand_back,
                                  const struct kafka_walk_record *stands_in, const char *topic,
                                  strid_error *err)
{
    const struct kafka_letter *letter = stands_in->letter;
    const strid_output *output = &letter->output;
    STRID_TRY(kafka_transaction_enter(&hand_back->transaction, err));
    const struct kafka_transaction_message record = {
        .topic = topic,
        .partition = (int32_t)letter->letter.partition,
        .key = output->key,
        .value = output->value,
        .timestamp_ms = output->timestamp_ms == STRID_TIMESTAMP_NONE ? 0 : output->timestamp_ms,
        .headers = kafka_letter_original(letter),
    };
    STRID_TRY(kafka_transaction_put(&hand_back->transaction, &record, err));
    return kafka_transaction_mark(&hand_back->transaction, stands_in->message, KAFKA_MARK_REPLAYED,
                                  output->id, err);
}

/* A repeat stays: it has the id of the letter that is handed back, and so its mark. */
static strid_status consider(struct hand_back *hand_back, const struct kafka_walk_record *record,
                             strid_error *err)
{
    const char *topic = NULL;
    if (record->letter == NULL || record->mark.kind == KAFKA_MARK_PURGED)
        return STRID_OK;
    const strid_dead_letter *origin = &record->letter->letter;
    if (hand_back->fn(hand_back->user, &record->letter->output) == STRID_LETTER_RETURNS) {
        if (has_partition(hand_back->session, origin->topic, origin->partition, &topic) &&
            strcmp(topic, rd_kafka_topic_name(record->message->rkt)) != 0)
            STRID_TRY(return_letter(hand_back, record, topic, err));
        else
            hand_back->result->orphaned++;
    }
    return STRID_OK;
}

/* The brokers put out who leaves a transaction open, however many records stay meanwhile. */
static strid_status see(void *user, const struct kafka_walk_record *record, bool *more,
                        strid_error *err)
{
    struct hand_back *hand_back = user;
    (void)more;
    STRID_TRY(consider(hand_back, record, err));
    return kafka_transaction_is_due(&hand_back->transaction)
               ? kafka_transaction_commit(&hand_back->transaction, &hand_back->result->replayed,
                                          err)
               : STRID_OK;
}

static strid_status check_cluster(const struct hand_back *hand_back, strid_error *err)
{
    rd_kafka_t *client = hand_back->walk.client;
    char *letters = rd_kafka_clusterid(client, CLUSTER_MS);
    char *source = rd_kafka_clusterid(hand_back->session->client, CLUSTER_MS);
    bool is_same = letters != NULL && source != NULL && strcmp(letters, source) == 0;
    if (letters != NULL)
        rd_kafka_mem_free(client, letters);
    if (source != NULL)
        rd_kafka_mem_free(hand_back->session->client, source);
    if (is_same)
        return STRID_OK;
    return error_set(err, STRID_EUNSUPPORTED, COMPONENT,
                     "the letters are on %s, which is not the cluster of the source: they can be "
                     "handed back only within one",
                     hand_back->queue->url);
}

static strid_status go_through(struct hand_back *hand_back, struct kafka_walk_range range,
                               strid_error *err)
{
    struct kafka_transaction *transaction = &hand_back->transaction;
    struct kafka_walk *walk = &hand_back->walk;
    strid_status status = kafka_transaction_open(
        transaction, hand_back->queue, walk->places[range.first].topic, "handed back", err);
    if (status == STRID_OK) /* all marks of others are read, none comes */
        status = kafka_walk_marks(walk, range, err);
    if (status == STRID_OK)
        status = kafka_walk_records(walk, range, see, hand_back, err);
    if (status == STRID_OK)
        status = kafka_transaction_commit(transaction, &hand_back->result->replayed, err);
    kafka_transaction_close(transaction);
    return status;
}

static bool is_empty(const struct kafka_walk *walk, struct kafka_walk_range range)
{
    for (uint32_t i = range.first; i < range.end; i++)
        if (!walk->places[i].is_empty)
            return false;
    return true;
}

/* A topic at a time, for there is one transactional id for each. */
static strid_status go_through_all(struct hand_back *hand_back, strid_error *err)
{
    struct kafka_walk *walk = &hand_back->walk;
    struct kafka_walk_range topic = {0};
    /* A copy of a letter may be marked in a topic that comes later. */
    if (walk->place_count > kafka_walk_topic(walk, 0).end)
        STRID_TRY(kafka_walk_marks(walk, kafka_walk_all(walk), err));
    while (topic.end < walk->place_count) {
        topic = kafka_walk_topic(walk, topic.end);
        if (!is_empty(walk, topic))
            STRID_TRY(go_through(hand_back, topic, err));
    }
    return STRID_OK;
}

strid_status kafka_hand_back(const struct kafka_session *session, const strid_connector_args *dlq,
                             strid_letter_fate_fn fn, void *user, struct strid_dlq_replayed *result,
                             strid_error *err)
{
    struct hand_back hand_back = {
        .session = session, .queue = dlq, .fn = fn, .user = user, .result = result};
    strid_status status = kafka_walk_open(&hand_back.walk, dlq, err);
    if (status == STRID_OK)
        status = check_cluster(&hand_back, err);
    if (status == STRID_OK)
        status = go_through_all(&hand_back, err);
    kafka_walk_close(&hand_back.walk);
    return status;
}
