#include "kafka_hand_back.h"

#include <strid/inspect.h>

#include "base/clock.h"
#include "base/error.h"

#include "kafka_browse.h"
#include "kafka_marks.h"

#include <inttypes.h>
#include <string.h>

#define COMPONENT "kafka"

enum { LETTERS_MAX = 500, INIT_MS = 30000, COMMIT_MS = 30000, ABORT_MS = 10000, POLL_MS = 100 };
enum { COMMITS_MAX = 3, CLUSTER_MS = 10000 };

/* Far below what brokers let a transaction last. */
static const int64_t transaction_ns = INT64_C(5) * 1000000000;
/* One for all queues of a cluster: two that hand the same letter back cannot both succeed. */
static const char transactional_id[] = "strid-dlq-replay";

struct hand_back {
    const struct kafka_session *session;
    strid_letter_fate_fn fn;
    void *user;
    rd_kafka_t *producer;
    uint64_t open;    /* letters of the open transaction; 0: there is none */
    int64_t begun_ns; /* when it was opened */
    struct strid_dlq_replayed *result;
};

static strid_status refuse(const char *what, rd_kafka_error_t *error, strid_error *err)
{
    strid_status status =
        error_set(err, STRID_EIO, COMPONENT,
                  "letters cannot be handed back: %s: %s; this user needs the right to write with "
                  "the transactional id %s, and one at a time hands back. What was handed back is "
                  "marked: run it again",
                  what, rd_kafka_error_string(error), transactional_id);
    if (err != NULL)
        err->native_code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return status;
}

static strid_status begin(struct hand_back *hand_back, strid_error *err)
{
    rd_kafka_error_t *error = rd_kafka_begin_transaction(hand_back->producer);
    if (error != NULL)
        return refuse("a transaction cannot begin", error, err);
    hand_back->begun_ns = clock_monotonic_ns(&clock_system);
    return STRID_OK;
}

/* Nothing of the open transaction is seen by anybody. */
static void give_up(struct hand_back *hand_back)
{
    if (hand_back->open == 0)
        return;
    rd_kafka_error_t *error = rd_kafka_abort_transaction(hand_back->producer, ABORT_MS);
    if (error != NULL) /* the brokers end it */
        rd_kafka_error_destroy(error);
    hand_back->open = 0;
}

static strid_status commit(struct hand_back *hand_back, strid_error *err)
{
    rd_kafka_error_t *error = NULL;
    if (hand_back->open == 0)
        return STRID_OK;
    for (int tries = 0; tries < COMMITS_MAX; tries++) {
        if (error != NULL)
            rd_kafka_error_destroy(error);
        error = rd_kafka_commit_transaction(hand_back->producer, COMMIT_MS);
        if (error == NULL) {
            hand_back->result->replayed += hand_back->open;
            hand_back->open = 0;
            return STRID_OK;
        }
        if (!rd_kafka_error_is_retriable(error))
            break;
    }
    return refuse("a transaction was not committed", error, err);
}

struct message {
    const char *topic;
    int32_t partition;
    strid_bytes key, value;
    int64_t timestamp_ms;
    rd_kafka_headers_t *headers; /* taken in any case */
};

static strid_status produce(struct hand_back *hand_back, const struct message *message,
                            strid_error *err)
{
    rd_kafka_resp_err_t code;
    for (;;) {
        code = rd_kafka_producev(
            hand_back->producer, RD_KAFKA_V_TOPIC(message->topic),
            RD_KAFKA_V_PARTITION(message->partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY(message->key.data, message->key.len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)message->value.data, message->value.len),
            RD_KAFKA_V_TIMESTAMP(message->timestamp_ms), RD_KAFKA_V_HEADERS(message->headers),
            RD_KAFKA_V_END);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            break;
        /* Ends: each message is answered for, or fails after message.timeout.ms. */
        (void)rd_kafka_flush(hand_back->producer, POLL_MS);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STRID_OK;
    rd_kafka_headers_destroy(message->headers);
    return error_set(err, STRID_EIO, COMPONENT, "%s [%" PRId32 "] cannot be written: %s",
                     message->topic, message->partition, rd_kafka_err2str(code));
}

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

static strid_status return_letter(struct hand_back *hand_back, const struct kafka_letter *letter,
                                  const rd_kafka_message_t *stands_in, const char *topic,
                                  strid_error *err)
{
    const strid_output *output = &letter->output;
    const struct message record = {
        .topic = topic,
        .partition = (int32_t)letter->letter.partition,
        .key = output->key,
        .value = output->value,
        .timestamp_ms = output->timestamp_ms == STRID_TIMESTAMP_NONE ? 0 : output->timestamp_ms,
        .headers = kafka_letter_original(letter),
    };
    /* With a key, as compacted topics want one. */
    const struct message mark = {
        .topic = rd_kafka_topic_name(stands_in->rkt),
        .partition = stands_in->partition,
        .key = output->id,
        .value = strid_bytes_of_text(""),
        .headers = kafka_marks_headers(output->id),
    };
    strid_status status = hand_back->open == 0 ? begin(hand_back, err) : STRID_OK;
    if (status != STRID_OK) {
        rd_kafka_headers_destroy(record.headers);
        rd_kafka_headers_destroy(mark.headers);
        return status;
    }
    hand_back->open++;
    status = produce(hand_back, &record, err);
    if (status == STRID_OK)
        return produce(hand_back, &mark, err);
    rd_kafka_headers_destroy(mark.headers);
    return status;
}

/* kafka_browse_fn. A repeat stays: it has the id of the letter that is handed back, and so its
 * mark. */
static strid_status see(void *user, const struct kafka_letter *letter,
                        const rd_kafka_message_t *message, bool *more, strid_error *err)
{
    struct hand_back *hand_back = user;
    const char *topic = NULL;
    (void)more;
    if (hand_back->fn(hand_back->user, &letter->output) == STRID_LETTER_RETURNS) {
        if (has_partition(hand_back->session, letter->letter.topic, letter->letter.partition,
                          &topic) &&
            strcmp(topic, rd_kafka_topic_name(message->rkt)) != 0)
            STRID_TRY(return_letter(hand_back, letter, message, topic, err));
        else
            hand_back->result->orphaned++;
    }
    bool is_due = hand_back->open == LETTERS_MAX ||
                  (hand_back->open > 0 &&
                   clock_monotonic_ns(&clock_system) - hand_back->begun_ns > transaction_ns);
    return is_due ? commit(hand_back, err) : STRID_OK;
}

static strid_status check_cluster(const struct hand_back *hand_back, const char *brokers,
                                  strid_error *err)
{
    const rd_kafka_metadata_t *metadata = NULL;
    STRID_TRY(kafka_client_metadata(hand_back->producer, brokers, NULL, &metadata, err));
    rd_kafka_metadata_destroy(metadata);
    char *letters = rd_kafka_clusterid(hand_back->producer, CLUSTER_MS);
    char *source = rd_kafka_clusterid(hand_back->session->client, CLUSTER_MS);
    bool is_same = letters != NULL && source != NULL && strcmp(letters, source) == 0;
    if (letters != NULL)
        rd_kafka_mem_free(hand_back->producer, letters);
    if (source != NULL)
        rd_kafka_mem_free(hand_back->session->client, source);
    if (is_same)
        return STRID_OK;
    return error_set(err, STRID_EUNSUPPORTED, COMPONENT,
                     "the letters are on %s, which is not the cluster of the source: they can be "
                     "handed back only within one",
                     brokers);
}

/* The transactions that others left open have ended behind this. */
static strid_status open_producer(struct hand_back *hand_back, const strid_connector_args *dlq,
                                  strid_error *err)
{
    struct kafka_target target;
    rd_kafka_conf_t *conf = NULL;
    char why[256];
    STRID_TRY(kafka_target_parse(dlq->target, &target, err));
    strid_status status = kafka_config_make_producer(target.brokers, dlq->options, &conf, err);
    if (status == STRID_OK && rd_kafka_conf_set(conf, "transactional.id", transactional_id, why,
                                                sizeof why) != RD_KAFKA_CONF_OK) {
        status = error_set(err, STRID_ECONFIG, COMPONENT, "no transactions: %s", why);
        rd_kafka_conf_destroy(conf);
    }
    if (status == STRID_OK)
        status = kafka_client_create(RD_KAFKA_PRODUCER, conf, dlq->log, &hand_back->producer, err);
    if (status == STRID_OK)
        status = check_cluster(hand_back, target.brokers, err);
    kafka_target_fini(&target);
    if (status != STRID_OK)
        return status;
    rd_kafka_error_t *error = rd_kafka_init_transactions(hand_back->producer, INIT_MS);
    return error == NULL ? STRID_OK : refuse("transactions are not possible", error, err);
}

strid_status kafka_hand_back(const struct kafka_session *session, const strid_connector_args *dlq,
                             strid_letter_fate_fn fn, void *user, struct strid_dlq_replayed *result,
                             strid_error *err)
{
    struct hand_back hand_back = {.session = session, .fn = fn, .user = user, .result = result};
    strid_status status = open_producer(&hand_back, dlq, err);
    if (status == STRID_OK)
        status = kafka_browse_letters(dlq, see, &hand_back, err);
    if (status == STRID_OK)
        status = commit(&hand_back, err);
    if (status != STRID_OK)
        give_up(&hand_back);
    if (hand_back.producer != NULL)
        kafka_client_destroy(hand_back.producer);
    return status;
}
