#include "kafka_trim.h"

#include "base/error.h"

#include "kafka_client.h"

#include <inttypes.h>

#define COMPONENT "kafka"

/* Longer than librdkafka takes to give a request up, so that it says why. */
enum { ANSWER_MS = 90000 };

static const char *advice_for(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return "give this user the right to delete records of the topic (Delete)";
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        return "nothing is deleted from a topic whose cleanup.policy is compact alone: make it "
               "compact,delete";
    default:
        return "run it again";
    }
}

static strid_status refuse(const rd_kafka_topic_partition_t *partition, const char *brokers,
                           const char *why, strid_error *err)
{
    bool silent = partition->err == RD_KAFKA_RESP_ERR__TIMED_OUT ||
                  partition->err == RD_KAFKA_RESP_ERR__TRANSPORT;
    strid_status status = error_set(err, silent ? STRID_EUNREACHABLE : STRID_EIO, COMPONENT,
                                    "%s [%" PRId32 "] on %s: its records before offset %" PRId64
                                    " cannot be deleted: %s; %s",
                                    partition->topic, partition->partition, brokers,
                                    partition->offset, why, advice_for(partition->err));
    if (err != NULL)
        err->native_code = (int32_t)partition->err;
    return status;
}

/* Puts the answers into the list, whose offsets stay what was asked. */
static void take_answers(rd_kafka_topic_partition_list_t *before, rd_kafka_event_t *event)
{
    const rd_kafka_DeleteRecords_result_t *result =
        event == NULL ? NULL : rd_kafka_event_DeleteRecords_result(event);
    rd_kafka_resp_err_t all =
        event == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event);
    for (int i = 0; i < before->cnt; i++) {
        rd_kafka_topic_partition_t *partition = &before->elems[i];
        const rd_kafka_topic_partition_t *found =
            all != RD_KAFKA_RESP_ERR_NO_ERROR || result == NULL
                ? NULL
                : rd_kafka_topic_partition_list_find(rd_kafka_DeleteRecords_result_offsets(result),
                                                     partition->topic, partition->partition);
        partition->err = found != NULL                       ? found->err
                         : all != RD_KAFKA_RESP_ERR_NO_ERROR ? all
                                                             : RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
}

static void ask(rd_kafka_t *client, rd_kafka_topic_partition_list_t *before)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteRecords_t *records = rd_kafka_DeleteRecords_new(before);
    rd_kafka_DeleteRecords(client, &records, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ANSWER_MS);
    take_answers(before, event);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(records);
    rd_kafka_queue_destroy(queue);
}

strid_status kafka_trim(rd_kafka_t *client, const char *brokers,
                        rd_kafka_topic_partition_list_t *before, strid_error *err)
{
    const rd_kafka_topic_partition_t *wrong;
    int tries = 0;
    if (before->cnt == 0)
        return STRID_OK;
    do { /* what was deleted already is no error when it is asked for again */
        ask(client, before);
        wrong = NULL;
        for (int i = 0; i < before->cnt && wrong == NULL; i++)
            if (before->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
                wrong = &before->elems[i];
    } while (wrong != NULL && kafka_client_try_again(wrong->err, &tries));
    return wrong == NULL ? STRID_OK : refuse(wrong, brokers, rd_kafka_err2str(wrong->err), err);
}
