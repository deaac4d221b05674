#include "kafka_loop.h"

#include "connectors/kafka/kafka_source_config.h"

enum { WAIT_MS = 100, SILENT_TURNS_MAX = 300 };

struct reading {
    uint64_t records, bytes;
    uint32_t ended; /* partitions */
    bool failed;
    double began_s;
};

static void take(rd_kafka_message_t *message, void *user)
{
    struct reading *reading = user;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (reading->records++ == 0)
            reading->began_s = measure_wall_s();
        reading->bytes += message->len + message->key_len;
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        reading->ended++;
    } else {
        reading->failed = true;
    }
}

static rd_kafka_t *make_client(const char *brokers, uint64_t memory)
{
    char why[256];
    strid_error err = STRID_ERROR_INIT;
    rd_kafka_conf_t *conf = NULL;
    const struct kafka_source_options options = {.group = NULL};
    struct kafka_prefetch prefetch = kafka_source_config_divide(memory, 1);
    if (kafka_source_config_make(brokers, "strid-bench", &options, &prefetch, &conf, &err) !=
        STRID_OK) {
        (void)measure_failed("librdkafka", err.message);
        return NULL;
    }
    rd_kafka_conf_set_log_cb(conf, NULL); /* errors come with the messages */
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (client == NULL)
        (void)measure_failed("librdkafka", why);
    return client;
}

int kafka_loop_read(const char *brokers, const char *topic, uint32_t partitions, uint64_t memory,
                    struct bench_run *out)
{
    struct reading reading = {.records = 0};
    rd_kafka_t *client = make_client(brokers, memory);
    if (client == NULL)
        return -1;
    double cpu_s = measure_cpu_s();
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    for (uint32_t p = 0; p < partitions; p++)
        reading.failed |=
            rd_kafka_consume_start_queue(handle, (int32_t)p, RD_KAFKA_OFFSET_BEGINNING, queue) != 0;
    uint32_t silent = 0;
    while (reading.ended < partitions && !reading.failed && silent < SILENT_TURNS_MAX)
        silent =
            rd_kafka_consume_callback_queue(queue, WAIT_MS, take, &reading) > 0 ? 0 : silent + 1;
    *out = (struct bench_run){.records = reading.records,
                              .wall_s = measure_wall_s() - reading.began_s,
                              .cpu_s = measure_cpu_s() - cpu_s};
    for (uint32_t p = 0; p < partitions; p++)
        (void)rd_kafka_consume_stop(handle, (int32_t)p);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(handle);
    rd_kafka_destroy(client);
    return reading.ended == partitions && !reading.failed
               ? 0
               : measure_failed("librdkafka", "the topic was not read to its end");
}
