/* An idempotent producer of librdkafka. A message's opaque is its number, the topic's the producer;
 * those that the brokers refuse are told, the others stand. @thread the producer's; delivery
 * reports come within its calls */
#include "kafka_produce.h"

#include "base/error.h"

#include "kafka_client.h"

#include <string.h>

#define COMPONENT "kafka"

/* Looking for answers takes a lock and reads the clock: not for each message. */
enum { POLL_MS = 100, PURGE_MS = 5000, POLL_EVERY = 64 };

struct kafka_produce {
    const strid_connector_args *args;
    strid_refused_fn refused;
    void *user;
    struct kafka_target target;
    rd_kafka_t *client; /* NULL: not made */
    rd_kafka_topic_t *topic;
    uint32_t unpolled; /* messages since answers were looked for */
};

static struct kafka_produce *of(strid_sink *self) { return (struct kafka_produce *)self; }

/* Nobody answered: it may have arrived. */
static bool is_silence(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
           code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__TIMED_OUT;
}

static strid_status explain(const struct kafka_produce *produce, rd_kafka_resp_err_t code,
                            strid_error *err)
{
    char why[256] = "";
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        (void)rd_kafka_fatal_error(produce->client, why, sizeof why);
    strid_status status =
        error_set(err, is_silence(code) ? STRID_EUNREACHABLE : STRID_EIO, COMPONENT,
                  "topic %s on %s: %s%s%s", produce->target.topic, produce->target.brokers,
                  rd_kafka_err2str(code), *why == '\0' ? "" : ": ", why);
    if (err != NULL)
        err->native_code = (int32_t)code;
    return status;
}

static void refuse(struct kafka_produce *produce, rd_kafka_resp_err_t code, uint64_t number)
{
    strid_error why = STRID_ERROR_INIT;
    (void)explain(produce, code, &why);
    if (produce->refused != NULL)
        produce->refused(produce->user, number, &why);
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    (void)opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        refuse(rd_kafka_topic_opaque(message->rkt), message->err,
               (uint64_t)(uintptr_t)message->_private);
}

static strid_status make_client(struct kafka_produce *produce, strid_error *err)
{
    const struct kafka_sink_options *options = produce->args->options;
    rd_kafka_conf_t *conf = NULL;
    STRID_TRY(kafka_config_make_producer(produce->target.brokers, options, &conf, err));
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return kafka_client_create(RD_KAFKA_PRODUCER, conf, produce->args->log, &produce->client, err);
}

static strid_status open_topic(struct kafka_produce *produce, strid_error *err)
{
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(produce->client);
    rd_kafka_topic_conf_set_opaque(conf, produce);
    produce->topic = rd_kafka_topic_new(produce->client, produce->target.topic, conf);
    if (produce->topic == NULL) {
        rd_kafka_topic_conf_destroy(conf);
        return error_set(err, STRID_ECONFIG, COMPONENT, "\"%s\" is no name of a topic: %s",
                         produce->target.topic, rd_kafka_err2str(rd_kafka_last_error()));
    }
    STRID_TRY(kafka_client_metadata(produce->client, produce->target.brokers, produce->topic,
                                    &metadata, err));
    rd_kafka_resp_err_t code =
        metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    rd_kafka_metadata_destroy(metadata);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        return STRID_OK; /* the latter: the broker is just making it */
    return error_set(err, STRID_ENOTFOUND, COMPONENT, "topic %s on %s cannot be written: %s",
                     produce->target.topic, produce->target.brokers, rd_kafka_err2str(code));
}

static void produce_close(strid_sink *self)
{
    struct kafka_produce *produce = of(self);
    if (produce->client != NULL) {
        produce->refused = NULL; /* what is dropped here was not promised */
        (void)rd_kafka_purge(produce->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_flush(produce->client, PURGE_MS);
        if (produce->topic != NULL)
            rd_kafka_topic_destroy(produce->topic);
        kafka_client_destroy(produce->client);
    }
    kafka_target_fini(&produce->target);
}

static strid_status produce_open(strid_sink *self, const strid_connector_args *args,
                                 strid_refused_fn refused, void *user, strid_error *err)
{
    struct kafka_produce *produce = of(self);
    produce->args = args;
    produce->refused = refused;
    produce->user = user;
    STRID_TRY(kafka_target_parse(args->target, &produce->target, err));
    strid_status status = make_client(produce, err);
    if (status == STRID_OK)
        status = open_topic(produce, err);
    if (status != STRID_OK)
        produce_close(self);
    return status;
}

static rd_kafka_headers_t *make_headers(const strid_output *output)
{
    if (output->header_count == 0)
        return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(output->header_count);
    for (uint32_t i = 0; i < output->header_count; i++) {
        const strid_header *header = &output->headers[i];
        /* Fails for want of memory only, which ends the process. */
        (void)rd_kafka_header_add(headers, (const char *)header->name.data,
                                  (ssize_t)header->name.len, header->value.data,
                                  (ssize_t)header->value.len);
    }
    return headers;
}

/* The plain call takes less, and neither headers nor a timestamp. */
static rd_kafka_resp_err_t hand_over(struct kafka_produce *produce, const strid_output *output,
                                     rd_kafka_headers_t *headers, uint64_t number)
{
    void *value = (void *)(uintptr_t)output->value.data;
    void *opaque = (void *)(uintptr_t)number;
    if (headers != NULL || output->timestamp_ms != STRID_TIMESTAMP_NONE)
        return rd_kafka_producev(
            produce->client, RD_KAFKA_V_RKT(produce->topic),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY(output->key.data, output->key.len),
            RD_KAFKA_V_VALUE(value, output->value.len),
            RD_KAFKA_V_TIMESTAMP(
                output->timestamp_ms == STRID_TIMESTAMP_NONE ? 0 : output->timestamp_ms),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
    if (rd_kafka_produce(produce->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value,
                         output->value.len, output->key.data, output->key.len, opaque) == 0)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    return rd_kafka_last_error();
}

static strid_status produce_send(strid_sink *self, const strid_output *output, uint64_t number,
                                 strid_error *err)
{
    struct kafka_produce *produce = of(self);
    rd_kafka_headers_t *headers = make_headers(output);
    rd_kafka_resp_err_t code;
    /* Ends: each message is answered for, or fails after message.timeout.ms. */
    while ((code = hand_over(produce, output, headers, number)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        (void)rd_kafka_poll(produce->client, POLL_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && headers != NULL)
        rd_kafka_headers_destroy(headers);
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        return explain(produce, code, err);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        refuse(produce, code, number);
    if (++produce->unpolled >= POLL_EVERY) {
        produce->unpolled = 0;
        (void)rd_kafka_poll(produce->client, 0);
    }
    return STRID_OK;
}

static strid_status produce_settle(strid_sink *self, strid_error *err)
{
    (void)err;
    while (rd_kafka_outq_len(of(self)->client) > 0)
        (void)rd_kafka_flush(of(self)->client, POLL_MS);
    return STRID_OK;
}

const strid_produce_ops kafka_produce_ops = {
    .instance_size = sizeof(struct kafka_produce),
    .open = produce_open,
    .send = produce_send,
    .settle = produce_settle,
    .close = produce_close,
};
