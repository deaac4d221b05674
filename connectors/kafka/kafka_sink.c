/* The Kafka sink: an idempotent producer. write() hands messages over, flush() waits until the
 * brokers have answered for each. After a failure the producer is destroyed with all that it holds
 * and the next write makes a new one: nothing of the old attempt can come later, behind what is
 * offered again, and a producer that librdkafka calls fatal is replaced the same way.
 * @thread as the sink contract says: one at a time; delivery reports come within these calls */
#include "kafka_sink.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"

#include "kafka_browse.h"
#include "kafka_client.h"
#include "kafka_create.h"
#include "kafka_letter.h"
#include "kafka_produce.h"
#include "kafka_purge.h"
#include "kafka_topics.h"

#include <stdio.h>
#include <string.h>

#define COMPONENT "kafka"

static const char placeholder[] = KAFKA_SINK_TOPIC;

enum { POLL_MS = 100, TOPICS_MAX = 1024, PURGE_MS = 5000 };

struct topic {
    char *name; /* of the dead letters' topic, or NULL */
    rd_kafka_topic_t *handle;
};

struct kafka_sink {
    const strid_connector_args *args;
    struct kafka_target target;
    rd_kafka_t *producer; /* NULL: to be made by the next write */
    struct topic topics[TOPICS_MAX];
    uint32_t topic_count;
    uint64_t produced;  /* since the producer was made */
    uint64_t delivered; /* answered for by the brokers */
    rd_kafka_resp_err_t failure;
    char failed_topic[256];
};

static struct kafka_sink *of(strid_sink *self) { return (struct kafka_sink *)self; }

bool kafka_sink_topic_matches(const char *pattern, const char *topics, const char *topic)
{
    const char *at = strstr(pattern, placeholder);
    if (at == NULL)
        return strcmp(pattern, topic) == 0;
    size_t before = (size_t)(at - pattern);
    const char *after = at + sizeof placeholder - 1;
    size_t len = strlen(topic);
    if (len <= before + strlen(after) || memcmp(pattern, topic, before) != 0 ||
        strcmp(topic + len - strlen(after), after) != 0)
        return false;
    char *name = memory_copy_text(topic + before);
    name[len - before - strlen(after)] = '\0';
    bool wanted = topics == NULL || kafka_topics_want(topics, name);
    memory_free(name);
    return wanted;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    (void)opaque;
    struct kafka_sink *sink = message->_private;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        sink->delivered++;
    } else if (sink->failure == RD_KAFKA_RESP_ERR_NO_ERROR) {
        sink->failure = message->err;
        (void)snprintf(sink->failed_topic, sizeof sink->failed_topic, "%s",
                       rd_kafka_topic_name(message->rkt));
    }
}

static strid_status make_producer(struct kafka_sink *sink, strid_error *err)
{
    const struct kafka_sink_options *options = sink->args->options;
    rd_kafka_conf_t *conf = NULL;
    STRID_TRY(kafka_config_make_producer(sink->target.brokers, options, &conf, err));
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    STRID_TRY(kafka_client_create(RD_KAFKA_PRODUCER, conf, sink->args->log, &sink->producer, err));
    sink->produced = sink->delivered = 0;
    sink->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    return STRID_OK;
}

static void drop_topics(struct kafka_sink *sink)
{
    for (uint32_t i = 0; i < sink->topic_count; i++) {
        memory_free(sink->topics[i].name);
        rd_kafka_topic_destroy(sink->topics[i].handle);
    }
    sink->topic_count = 0;
}

/* What was not answered for is dropped; it is offered again or was not promised. */
static void drop_producer(struct kafka_sink *sink)
{
    if (sink->producer == NULL)
        return;
    (void)rd_kafka_purge(sink->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(sink->producer, PURGE_MS);
    drop_topics(sink);
    kafka_client_destroy(sink->producer);
    sink->producer = NULL;
}

static strid_status check_topic(struct kafka_sink *sink, strid_error *err)
{
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(sink->producer, sink->target.topic, NULL);
    if (topic == NULL)
        return error_set(err, STRID_ECONFIG, COMPONENT, "\"%s\" is no name of a topic: %s",
                         sink->target.topic, rd_kafka_err2str(rd_kafka_last_error()));
    strid_status status =
        kafka_client_metadata(sink->producer, sink->target.brokers, topic, &metadata, err);
    rd_kafka_topic_destroy(topic);
    if (status != STRID_OK)
        return status;
    rd_kafka_resp_err_t code =
        metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    rd_kafka_metadata_destroy(metadata);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        return STRID_OK; /* the latter: the broker is just making it */
    return error_set(err, STRID_ENOTFOUND, COMPONENT, "topic %s on %s cannot be written: %s",
                     sink->target.topic, sink->target.brokers, rd_kafka_err2str(code));
}

static void sink_close(strid_sink *self)
{
    drop_producer(of(self));
    kafka_target_fini(&of(self)->target);
}

static strid_status sink_check(const strid_connector_args *args, strid_error *err)
{
    struct kafka_target target;
    strid_status status = kafka_target_parse(args->target, &target, err);
    kafka_target_fini(&target);
    return status;
}

static strid_status sink_open(strid_sink *self, const strid_connector_args *args, strid_error *err)
{
    struct kafka_sink *sink = of(self);
    sink->args = args;
    STRID_TRY(kafka_target_parse(args->target, &sink->target, err));
    strid_status status = make_producer(sink, err);
    if (status == STRID_OK && strstr(sink->target.topic, placeholder) == NULL)
        status = check_topic(sink, err);
    if (status != STRID_OK)
        sink_close(self);
    return status;
}

char *kafka_sink_topic_for(const char *pattern, strid_bytes topic)
{
    const char *at = strstr(pattern, placeholder);
    if (at == NULL)
        return memory_copy_text(pattern);
    struct buffer name = {0};
    buffer_put(&name, pattern, (size_t)(at - pattern));
    buffer_put_bytes(&name, topic);
    buffer_put(&name, at + sizeof placeholder - 1, strlen(at + sizeof placeholder - 1) + 1);
    return (char *)name.data;
}

static strid_status find_topic(struct kafka_sink *sink, const strid_output *output,
                               rd_kafka_topic_t **out, strid_error *err)
{
    bool many = strstr(sink->target.topic, placeholder) != NULL;
    if (many && output->dead_letter == NULL)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "%s: {topic} is for dead letters only: name a topic", sink->target.topic);
    if (!many && sink->topic_count > 0) {
        *out = sink->topics[0].handle;
        return STRID_OK;
    }
    char *name = kafka_sink_topic_for(sink->target.topic,
                                      many ? output->dead_letter->topic : (strid_bytes){0});
    for (uint32_t i = 0; i < sink->topic_count; i++)
        if (strcmp(sink->topics[i].name, name) == 0) {
            memory_free(name);
            *out = sink->topics[i].handle;
            return STRID_OK;
        }
    strid_status status = STRID_OK;
    *out = sink->topic_count == TOPICS_MAX ? NULL : rd_kafka_topic_new(sink->producer, name, NULL);
    if (*out == NULL) {
        status =
            error_set(err, STRID_ECONFIG, COMPONENT, "\"%s\" cannot be written to: %s", name,
                      sink->topic_count == TOPICS_MAX ? "too many topics"
                                                      : rd_kafka_err2str(rd_kafka_last_error()));
        memory_free(name);
        return status;
    }
    /* A pattern's topics are known only with their first letter; nobody could have made them. */
    if (many)
        status =
            kafka_create_topic(sink->producer, sink->target.brokers, *out, sink->args->log, err);
    if (status != STRID_OK) {
        rd_kafka_topic_destroy(*out);
        memory_free(name);
        return status;
    }
    sink->topics[sink->topic_count++] = (struct topic){.name = name, .handle = *out};
    return STRID_OK;
}

static strid_status refuse(struct kafka_sink *sink, rd_kafka_resp_err_t code, const char *topic,
                           strid_error *err)
{
    char why[256] = "";
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        (void)rd_kafka_fatal_error(sink->producer, why, sizeof why);
    strid_status status = error_set(
        err, STRID_EIO, COMPONENT,
        "topic %s on %s could not be written, all since the last flush is offered again: "
        "%s%s%s",
        topic, sink->target.brokers, rd_kafka_err2str(code), *why == '\0' ? "" : ": ", why);
    if (err != NULL)
        err->native_code = (int32_t)code;
    return status;
}

static strid_status write_one(struct kafka_sink *sink, const strid_output *output, strid_error *err)
{
    rd_kafka_topic_t *topic = NULL;
    STRID_TRY(find_topic(sink, output, &topic, err));
    rd_kafka_headers_t *headers = kafka_letter_headers(output);
    rd_kafka_resp_err_t code;
    int64_t timestamp_ms = output->timestamp_ms == STRID_TIMESTAMP_NONE ? 0 : output->timestamp_ms;
    for (;;) {
        code = rd_kafka_producev(
            sink->producer, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY(output->key.data, output->key.len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)output->value.data, output->value.len),
            RD_KAFKA_V_TIMESTAMP(timestamp_ms), RD_KAFKA_V_HEADERS(headers),
            RD_KAFKA_V_OPAQUE(sink), RD_KAFKA_V_END);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || sink->failure != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        /* Ends: each message is answered for, or fails after message.timeout.ms. */
        (void)rd_kafka_poll(sink->producer, POLL_MS);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        sink->produced++;
        return STRID_OK;
    }
    rd_kafka_headers_destroy(headers);
    return refuse(sink, code, rd_kafka_topic_name(topic), err);
}

static strid_status sink_write(strid_sink *self, const strid_output *outputs, uint32_t count,
                               strid_error *err)
{
    struct kafka_sink *sink = of(self);
    strid_status status = sink->producer == NULL ? make_producer(sink, err) : STRID_OK;
    for (uint32_t i = 0; i < count && status == STRID_OK; i++)
        status = write_one(sink, &outputs[i], err);
    if (status == STRID_OK) {
        (void)rd_kafka_poll(sink->producer, 0);
        if (sink->failure != RD_KAFKA_RESP_ERR_NO_ERROR)
            status = refuse(sink, sink->failure, sink->failed_topic, err);
    }
    if (status != STRID_OK)
        drop_producer(sink);
    return status;
}

static strid_status sink_flush(strid_sink *self, strid_error *err)
{
    struct kafka_sink *sink = of(self);
    if (sink->producer == NULL)
        return STRID_OK; /* nothing was written since the last failure */
    while (sink->failure == RD_KAFKA_RESP_ERR_NO_ERROR && sink->delivered < sink->produced)
        (void)rd_kafka_flush(sink->producer, POLL_MS);
    if (sink->failure == RD_KAFKA_RESP_ERR_NO_ERROR) {
        STRID_ASSERT(sink->delivered == sink->produced);
        return STRID_OK;
    }
    strid_status status = refuse(sink, sink->failure, sink->failed_topic, err);
    drop_producer(sink);
    return status;
}

const strid_sink_ops kafka_sink_ops = {
    .abi_version = STRID_SINK_ABI_VERSION,
    .name = "kafka",
    .summary = "Writes to Kafka topics",
    .options = kafka_sink_config,
    .options_size = sizeof(struct kafka_sink_options),
    .instance_size = sizeof(struct kafka_sink),
    .open = sink_open,
    .check = sink_check,
    .write = sink_write,
    .flush = sink_flush,
    .close = sink_close,
    .browse = kafka_browse,
    .purge = kafka_purge,
    .produce = &kafka_produce_ops,
};
