#include "kafka_transaction.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include "kafka_client.h"

#include <inttypes.h>
#include <stdio.h>

#define COMPONENT "kafka"

enum { LETTERS_MAX = 500, INIT_MS = 30000, COMMIT_MS = 30000, ABORT_MS = 10000, POLL_MS = 100 };
enum { COMMITS_MAX = 3 };

/* Far below what brokers let a transaction last. */
static const int64_t transaction_ns = INT64_C(5) * 1000000000;
/* With the topic of the letters behind it: two that change the same letter cannot both succeed, and
 * two that change those of different topics have nothing to do with each other. */
static const char id_prefix[] = "strid-dlq-replay-";

enum { ID_MAX = sizeof id_prefix + 249 }; /* the longest name of a topic */

static strid_status refuse(const struct kafka_transaction *transaction, const char *what,
                           rd_kafka_error_t *error, strid_error *err)
{
    strid_status status;
    if (rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__FENCED)
        status =
            error_set(err, STRID_EIO, COMPONENT,
                      "letters cannot be %s: another replay or purge of the queue %s began and "
                      "put this one out, or this one stood still for a minute. What was %s is "
                      "marked: once no other one runs, run it again",
                      transaction->done, transaction->topic, transaction->done);
    else
        status =
            error_set(err, STRID_EIO, COMPONENT,
                      "letters cannot be %s: %s: %s; this user needs the right to write with the "
                      "transactional id %s%s. What was %s is marked: run it again",
                      transaction->done, what, rd_kafka_error_string(error), id_prefix,
                      transaction->topic, transaction->done);
    if (err != NULL)
        err->native_code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return status;
}

static strid_status make_producer(struct kafka_transaction *transaction, const char *brokers,
                                  const strid_connector_args *queue, strid_error *err)
{
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_conf_t *conf = NULL;
    char id[ID_MAX], why[256];
    (void)snprintf(id, sizeof id, "%s%s", id_prefix, transaction->topic);
    STRID_TRY(kafka_config_make_producer(brokers, queue->options, &conf, err));
    if (rd_kafka_conf_set(conf, "transactional.id", id, why, sizeof why) != RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(conf);
        return error_set(err, STRID_ECONFIG, COMPONENT, "no transactions: %s", why);
    }
    STRID_TRY(
        kafka_client_create(RD_KAFKA_PRODUCER, conf, queue->log, &transaction->producer, err));
    /* Says sooner and better than what follows why nobody answers. */
    strid_status status =
        kafka_client_metadata(transaction->producer, brokers, NULL, &metadata, err);
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    return status;
}

strid_status kafka_transaction_open(struct kafka_transaction *transaction,
                                    const strid_connector_args *queue, const char *topic,
                                    const char *done, strid_error *err)
{
    struct kafka_target target;
    *transaction = (struct kafka_transaction){.done = done, .topic = memory_copy_text(topic)};
    strid_status status = kafka_target_parse(queue->target, &target, err);
    if (status == STRID_OK)
        status = make_producer(transaction, target.brokers, queue, err);
    kafka_target_fini(&target);
    if (status != STRID_OK)
        return status;
    rd_kafka_error_t *error = rd_kafka_init_transactions(transaction->producer, INIT_MS);
    return error == NULL ? STRID_OK
                         : refuse(transaction, "transactions are not possible", error, err);
}

void kafka_transaction_close(struct kafka_transaction *transaction)
{
    if (transaction->open > 0) {
        rd_kafka_error_t *error = rd_kafka_abort_transaction(transaction->producer, ABORT_MS);
        if (error != NULL) /* the brokers end it */
            rd_kafka_error_destroy(error);
    }
    if (transaction->producer != NULL)
        kafka_client_destroy(transaction->producer);
    memory_free(transaction->topic);
    *transaction = (struct kafka_transaction){0};
}

strid_status kafka_transaction_enter(struct kafka_transaction *transaction, strid_error *err)
{
    if (transaction->open == 0) {
        rd_kafka_error_t *error = rd_kafka_begin_transaction(transaction->producer);
        if (error != NULL)
            return refuse(transaction, "a transaction cannot begin", error, err);
        transaction->begun_ns = clock_monotonic_ns(&clock_system);
    }
    transaction->open++;
    return STRID_OK;
}

strid_status kafka_transaction_put(struct kafka_transaction *transaction,
                                   const struct kafka_transaction_message *message,
                                   strid_error *err)
{
    rd_kafka_resp_err_t code;
    for (;;) {
        code = rd_kafka_producev(
            transaction->producer, RD_KAFKA_V_TOPIC(message->topic),
            RD_KAFKA_V_PARTITION(message->partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY(message->key.data, message->key.len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)message->value.data, message->value.len),
            RD_KAFKA_V_TIMESTAMP(message->timestamp_ms), RD_KAFKA_V_HEADERS(message->headers),
            RD_KAFKA_V_END);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            break;
        /* Ends: each message is answered for, or fails after message.timeout.ms. */
        (void)rd_kafka_flush(transaction->producer, POLL_MS);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STRID_OK;
    rd_kafka_headers_destroy(message->headers);
    /* A transaction that failed takes no messages, and this says why: none can begin either. */
    if (code == RD_KAFKA_RESP_ERR__STATE || code == RD_KAFKA_RESP_ERR__FATAL) {
        rd_kafka_error_t *error = rd_kafka_begin_transaction(transaction->producer);
        if (error != NULL)
            return refuse(transaction, "a transaction failed", error, err);
    }
    return error_set(err, STRID_EIO, COMPONENT, "%s [%" PRId32 "] cannot be written: %s",
                     message->topic, message->partition, rd_kafka_err2str(code));
}

strid_status kafka_transaction_mark(struct kafka_transaction *transaction,
                                    const rd_kafka_message_t *stands_in, enum kafka_mark_kind kind,
                                    strid_bytes id, strid_error *err)
{
    /* With a key, as compacted topics want one. */
    const struct kafka_transaction_message mark = {
        .topic = rd_kafka_topic_name(stands_in->rkt),
        .partition = stands_in->partition,
        .key = id,
        .value = strid_bytes_of_text(""),
        .headers = kafka_marks_headers(kind, id),
    };
    return kafka_transaction_put(transaction, &mark, err);
}

bool kafka_transaction_is_due(const struct kafka_transaction *transaction)
{
    return transaction->open >= LETTERS_MAX ||
           (transaction->open > 0 &&
            clock_monotonic_ns(&clock_system) - transaction->begun_ns > transaction_ns);
}

strid_status kafka_transaction_commit(struct kafka_transaction *transaction, uint64_t *letters,
                                      strid_error *err)
{
    rd_kafka_error_t *error = NULL;
    if (transaction->open == 0)
        return STRID_OK;
    for (int tries = 0; tries < COMMITS_MAX; tries++) {
        if (error != NULL)
            rd_kafka_error_destroy(error);
        error = rd_kafka_commit_transaction(transaction->producer, COMMIT_MS);
        if (error == NULL) {
            *letters += transaction->open;
            transaction->open = 0;
            return STRID_OK;
        }
        if (!rd_kafka_error_is_retriable(error))
            break;
    }
    return refuse(transaction, "a transaction was not committed", error, err);
}
