#include "kafka_send_loop.h"

#include <stdio.h>
#include <string.h>

#include "connectors/kafka/kafka_config.h"
#include "keys.h"

enum { POLL_MS = 100, POLL_EVERY = 1000, ASK_MS = 15000, VALUE_MAX = 4096 };

struct sending {
    uint64_t acknowledged, refused;
};

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    struct sending *sending = opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        sending->acknowledged++;
    else
        sending->refused++;
}

/* With what the engine's sinks and producers have where nothing is said. */
static rd_kafka_t *make_client(const char *brokers, struct sending *sending)
{
    char why[256];
    strid_error err = STRID_ERROR_INIT;
    rd_kafka_conf_t *conf = NULL;
    const struct kafka_sink_options options = {.buffer = UINT64_C(32) << 20};
    if (kafka_config_make_producer(brokers, &options, &conf, &err) != STRID_OK) {
        (void)measure_failed("librdkafka", err.message);
        return NULL;
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, sending);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (client == NULL)
        (void)measure_failed("librdkafka", why);
    return client;
}

static int send_all(rd_kafka_t *client, rd_kafka_topic_t *topic, uint64_t records,
                    uint64_t key_count, uint32_t value_bytes)
{
    char value[VALUE_MAX], key[KEYS_BYTES];
    struct keys keys;
    keys_init(&keys, 3, key_count, false);
    memset(value, 'v', sizeof value);
    for (uint64_t i = 0; i < records; i++) {
        keys_write(keys_next(&keys), key);
        while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value,
                                value_bytes, key, sizeof key, NULL) != 0) {
            if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                return measure_failed("librdkafka", rd_kafka_err2str(rd_kafka_last_error()));
            (void)rd_kafka_poll(client, POLL_MS);
        }
        if (i % POLL_EVERY == 0)
            (void)rd_kafka_poll(client, 0);
    }
    while (rd_kafka_outq_len(client) > 0)
        (void)rd_kafka_flush(client, POLL_MS);
    return 0;
}

/* The engine's producer asks before it sends, too. */
static int ask(rd_kafka_t *client, rd_kafka_topic_t *topic)
{
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, topic, &metadata, ASK_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return measure_failed("librdkafka", rd_kafka_err2str(code));
    rd_kafka_metadata_destroy(metadata);
    return 0;
}

int kafka_send_loop(const char *brokers, const char *topic, uint64_t records, uint64_t key_count,
                    uint32_t value_bytes, struct bench_run *out)
{
    struct sending sending = {.acknowledged = 0};
    rd_kafka_t *client = make_client(brokers, &sending);
    if (client == NULL)
        return -1;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    int result = ask(client, handle);
    double wall_s = measure_wall_s(), cpu_s = measure_cpu_s();
    if (result == 0)
        result = send_all(client, handle, records, key_count,
                          value_bytes < VALUE_MAX ? value_bytes : VALUE_MAX);
    *out = (struct bench_run){.records = sending.acknowledged,
                              .wall_s = measure_wall_s() - wall_s,
                              .cpu_s = measure_cpu_s() - cpu_s};
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(client);
    if (result == 0 && (sending.refused > 0 || sending.acknowledged != records))
        result = measure_failed("librdkafka", "not every message was acknowledged");
    return result;
}
