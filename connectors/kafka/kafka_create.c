#include "kafka_create.h"

#include "base/error.h"
#include "base/log.h"

#define COMPONENT "kafka"

enum { ANSWER_MS = 30000, BY_DEFAULT = -1, WHY_MAX = 256 };

static strid_status is_there(rd_kafka_t *client, const char *brokers, rd_kafka_topic_t *topic,
                             bool *out, strid_error *err)
{
    const rd_kafka_metadata_t *metadata = NULL;
    STRID_TRY(kafka_client_metadata(client, brokers, topic, &metadata, err));
    rd_kafka_resp_err_t code =
        metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    rd_kafka_metadata_destroy(metadata);
    *out = code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    return STRID_OK;
}

static strid_status refuse(const char *name, const char *brokers, const char *why, strid_error *err)
{
    return error_set(err, STRID_EIO, COMPONENT,
                     "topic %s on %s is not there and cannot be made: %s; create it, or give this "
                     "user the right to",
                     name, brokers, why);
}

static strid_status take_answer(rd_kafka_event_t *event, const char *name, const char *brokers,
                                strid_error *err)
{
    size_t count = 0;
    if (event == NULL)
        return refuse(name, brokers, "no answer", err);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return refuse(name, brokers, rd_kafka_event_error_string(event), err);
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR &&
            code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) /* another node was faster */
            return refuse(name, brokers, rd_kafka_topic_result_error_string(results[i]), err);
    }
    return STRID_OK;
}

strid_status kafka_create_topic(rd_kafka_t *client, const char *brokers, rd_kafka_topic_t *topic,
                                const struct log *log, strid_error *err)
{
    bool there = false;
    char why[WHY_MAX];
    const char *name = rd_kafka_topic_name(topic);
    STRID_TRY(is_there(client, brokers, topic, &there, err));
    if (there)
        return STRID_OK;
    rd_kafka_NewTopic_t *wanted =
        rd_kafka_NewTopic_new(name, BY_DEFAULT, BY_DEFAULT, why, sizeof why);
    if (wanted == NULL)
        return refuse(name, brokers, why, err);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_CreateTopics(client, &wanted, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ANSWER_MS);
    strid_status status = take_answer(event, name, brokers, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(wanted);
    if (status == STRID_OK)
        log_info(log, COMPONENT, "topic %s was made", name);
    return status;
}
