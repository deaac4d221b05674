#include "kafka_host.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "raw/keys.h"

enum { WAIT_MS = 60000, WHY_MAX = 256, VALUE_MAX = 4096, KEY_MAX = 32 };

static const char *brokers(void) { return getenv("STRID_BENCH_KAFKA"); }

bool kafka_host_is_there(const char *workload)
{
    if (brokers() != NULL)
        return true;
    (void)measure_failed(workload, "left out: no broker; give STRID_BENCH_KAFKA=HOST:PORT, for "
                                   "example of tools/kafka/broker.py run DIR");
    return false;
}

static rd_kafka_t *make_producer(const struct kafka_host *host)
{
    static const char *const settings[][2] = {{"linger.ms", "20"},
                                              {"acks", "all"},
                                              {"enable.idempotence", "true"},
                                              {"partitioner", "murmur2_random"},
                                              {"queue.buffering.max.messages", "1000000"}};
    char why[WHY_MAX];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", host->brokers, why, sizeof why);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        (void)rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (client == NULL)
        (void)measure_failed("librdkafka", why);
    return client;
}

/* The answer to making or deleting. */
static int take_answer(rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    int result = event == NULL || rd_kafka_event_error(event) != 0 ? -1 : 0;
    if (event != NULL)
        rd_kafka_event_destroy(event);
    return result;
}

static int create(rd_kafka_t *client, const struct kafka_host *host)
{
    char why[WHY_MAX];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(host->topic, KAFKA_HOST_PARTITIONS, -1, why, sizeof why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    int result = take_answer(queue);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    return result == 0 ? 0 : measure_failed(host->brokers, "the topic could not be made");
}

static int fill(rd_kafka_t *client, const struct kafka_host *host, uint64_t records,
                uint64_t key_count, uint32_t value_bytes)
{
    char value[VALUE_MAX], key[KEY_MAX];
    struct keys keys;
    uint32_t len = value_bytes < VALUE_MAX ? value_bytes : VALUE_MAX;
    keys_init(&keys, 3, key_count, false);
    memset(value, 'v', sizeof value);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, host->topic, NULL);
    for (uint64_t i = 0; i < records; i++) {
        int key_len = snprintf(key, sizeof key, "c%011" PRIu64, keys_next(&keys));
        while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value, len, key,
                                (size_t)key_len, NULL) != 0) {
            if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                return measure_failed(host->brokers, rd_kafka_err2str(rd_kafka_last_error()));
            (void)rd_kafka_poll(client, 10);
        }
    }
    rd_kafka_topic_destroy(topic);
    return rd_kafka_flush(client, WAIT_MS) == 0
               ? 0
               : measure_failed(host->brokers, "the topic could not be filled");
}

int kafka_host_start(struct kafka_host *host, uint64_t records, uint64_t keys, uint32_t value_bytes)
{
    static uint32_t topics; /* a broker deletes some time after it said so; one thread measures */
    host->brokers = brokers();
    (void)snprintf(host->topic, sizeof host->topic, "strid-bench-%ld-%" PRIu32, (long)getpid(),
                   topics++);
    rd_kafka_t *client = make_producer(host);
    if (client == NULL)
        return -1;
    int result = create(client, host);
    if (result == 0)
        result = fill(client, host, records, keys, value_bytes);
    rd_kafka_destroy(client);
    if (result != 0)
        kafka_host_stop(host);
    return result;
}

int kafka_host_count(const struct kafka_host *host, uint64_t *out)
{
    rd_kafka_t *client = make_producer(host);
    if (client == NULL)
        return -1;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    *out = 0;
    for (int32_t p = 0; p < KAFKA_HOST_PARTITIONS && code == RD_KAFKA_RESP_ERR_NO_ERROR; p++) {
        int64_t low = 0, high = 0;
        code = rd_kafka_query_watermark_offsets(client, host->topic, p, &low, &high, WAIT_MS);
        *out += (uint64_t)(high - low);
    }
    rd_kafka_destroy(client);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? 0
               : measure_failed(host->brokers, rd_kafka_err2str(code));
}

void kafka_host_stop(struct kafka_host *host)
{
    rd_kafka_t *client = make_producer(host);
    if (client == NULL)
        return;
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(host->topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_DeleteTopics(client, &topic, 1, NULL, queue);
    if (take_answer(queue) != 0)
        (void)measure_failed(host->brokers, "the topic could not be deleted");
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteTopic_destroy(topic);
    rd_kafka_destroy(client);
}
