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
    strid_letter_fate_fn fn;
    void *user;
    struct kafka_transaction transaction;
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

static strid_status check_cluster(const struct hand_back *hand_back,
                                  const strid_connector_args *queue, strid_error *err)
{
    rd_kafka_t *producer = hand_back->transaction.producer;
    char *letters = rd_kafka_clusterid(producer, CLUSTER_MS);
    char *source = rd_kafka_clusterid(hand_back->session->client, CLUSTER_MS);
    bool is_same = letters != NULL && source != NULL && strcmp(letters, source) == 0;
    if (letters != NULL)
        rd_kafka_mem_free(producer, letters);
    if (source != NULL)
        rd_kafka_mem_free(hand_back->session->client, source);
    if (is_same)
        return STRID_OK;
    return error_set(err, STRID_EUNSUPPORTED, COMPONENT,
                     "the letters are on %s, which is not the cluster of the source: they can be "
                     "handed back only within one",
                     queue->url);
}

strid_status kafka_hand_back(const struct kafka_session *session, const strid_connector_args *dlq,
                             strid_letter_fate_fn fn, void *user, struct strid_dlq_replayed *result,
                             strid_error *err)
{
    struct hand_back hand_back = {.session = session, .fn = fn, .user = user, .result = result};
    struct kafka_transaction *transaction = &hand_back.transaction;
    struct kafka_walk walk = {0};
    strid_status status = kafka_transaction_open(transaction, dlq, "handed back", err);
    if (status == STRID_OK)
        status = check_cluster(&hand_back, dlq, err);
    if (status == STRID_OK)
        status = kafka_transaction_take_over(transaction, err);
    if (status == STRID_OK) /* all marks of others are read, none comes */
        status = kafka_walk_open(&walk, dlq, err);
    if (status == STRID_OK)
        status = kafka_walk_records(&walk, see, &hand_back, err);
    if (status == STRID_OK)
        status = kafka_transaction_commit(transaction, &result->replayed, err);
    kafka_transaction_close(transaction);
    kafka_walk_close(&walk);
    return status;
}
