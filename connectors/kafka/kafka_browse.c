#include "kafka_browse.h"

#include "base/error.h"
#include "base/log.h"
#include "base/units.h"

#include "kafka_client.h"
#include "kafka_letter.h"
#include "kafka_sink.h"

#include <inttypes.h>
#include <string.h>

#define COMPONENT "kafka"

/* A partition that gives nothing for that long, though more is there, is an error. */
enum { WAIT_MS = 30000 };

struct browse {
    const strid_connector_args *args;
    bool (*fn)(void *user, const strid_output *letter);
    void *user;
    rd_kafka_t *client;
    struct kafka_letter letter;
    uint64_t passed_over;
    bool ended; /* by the callback */
};

static void take(struct browse *browse, const rd_kafka_message_t *message)
{
    if (kafka_letter_parse(&browse->letter, message))
        browse->ended = !browse->fn(browse->user, &browse->letter.output);
    else
        browse->passed_over++;
}

static strid_status read_partition(struct browse *browse, rd_kafka_topic_t *topic,
                                   int32_t partition, strid_error *err)
{
    strid_status status = STRID_OK;
    bool more = rd_kafka_consume_start(topic, partition, RD_KAFKA_OFFSET_BEGINNING) == 0;
    if (!more)
        return error_set(err, STRID_EIO, COMPONENT, "%s [%" PRId32 "] cannot be read: %s",
                         rd_kafka_topic_name(topic), partition,
                         rd_kafka_err2str(rd_kafka_last_error()));
    while (more && !browse->ended && status == STRID_OK) {
        rd_kafka_message_t *message = rd_kafka_consume(topic, partition, WAIT_MS);
        rd_kafka_resp_err_t code = message == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : message->err;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            take(browse, message);
        else if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            more = false;
        else
            status = error_set(err, STRID_EIO, COMPONENT, "%s [%" PRId32 "] cannot be read: %s",
                               rd_kafka_topic_name(topic), partition, rd_kafka_err2str(code));
        if (message != NULL)
            rd_kafka_message_destroy(message);
    }
    (void)rd_kafka_consume_stop(topic, partition);
    return status;
}

static strid_status read_topic(struct browse *browse, const rd_kafka_metadata_topic_t *found,
                               strid_error *err)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(browse->client, found->topic, NULL);
    strid_status status = STRID_OK;
    for (int p = 0; p < found->partition_cnt && status == STRID_OK && !browse->ended; p++)
        status = read_partition(browse, topic, found->partitions[p].id, err);
    rd_kafka_topic_destroy(topic);
    return status;
}

static strid_status read_topics(struct browse *browse, const struct kafka_target *target,
                                strid_error *err)
{
    const struct kafka_sink_options *options = browse->args->options;
    const rd_kafka_metadata_t *metadata = NULL;
    STRID_TRY(kafka_client_metadata(browse->client, target->brokers, NULL, &metadata, err));
    strid_status status = STRID_OK;
    for (int t = 0; t < metadata->topic_cnt && status == STRID_OK && !browse->ended; t++)
        if (kafka_sink_topic_matches(target->topic, options->topics, metadata->topics[t].topic))
            status = read_topic(browse, &metadata->topics[t], err);
    rd_kafka_metadata_destroy(metadata);
    return status;
}

strid_status kafka_browse(const strid_connector_args *args,
                          bool (*fn)(void *user, const strid_output *letter), void *user,
                          strid_error *err)
{
    static const struct kafka_setting defaults[] = {{"isolation.level", "read_committed"},
                                                    {NULL, NULL}};
    static const struct kafka_setting fixed[] = {{"enable.partition.eof", "true"},
                                                 {"check.crcs", "true"},
                                                 {"allow.auto.create.topics", "false"},
                                                 {"auto.offset.reset", "error"},
                                                 {NULL, NULL}};
    const struct kafka_sink_options *options = args->options;
    struct browse browse = {.args = args, .fn = fn, .user = user};
    struct kafka_target target;
    rd_kafka_conf_t *conf = NULL;
    STRID_TRY(kafka_target_parse(args->target, &target, err));
    strid_status status =
        kafka_config_make(target.brokers, defaults, options->properties, fixed, &conf, err);
    if (status == STRID_OK)
        status = kafka_client_create(RD_KAFKA_CONSUMER, conf, args->log, &browse.client, err);
    if (status == STRID_OK) {
        status = read_topics(&browse, &target, err);
        rd_kafka_destroy(browse.client);
    }
    if (browse.passed_over > 0 && args->log != NULL)
        log_warn((const struct log *)args->log, COMPONENT,
                 "%s: passed over %" PRIu64 " record%s without a dead letter", args->url,
                 browse.passed_over, units_plural(browse.passed_over));
    kafka_letter_fini(&browse.letter);
    kafka_target_fini(&target);
    return status;
}
