/* Records sent to a Kafka topic and acknowledged by all replicas: strid_producer beside librdkafka
 * alone with the same settings. What came is counted at the broker behind each run. */
#include <stdio.h>
#include <string.h>

#include <strid/strid.h>

#include "kafka_host.h"
#include "raw/kafka_send_loop.h"
#include "raw/keys.h"
#include "report.h"
#include "workload.h"

enum { RECORDS_PER_SECOND = 500000, RECORDS_MIN = 10000, VALUE_BYTES = 100 };

struct sent {
    const struct workload *workload;
    const struct bench_settings *settings;
    struct kafka_host host;
    uint64_t keys;
    uint64_t there; /* in the topic */
    uint64_t refused;
};

static void count_refused(void *user, uint64_t number, const strid_error *why)
{
    struct sent *sent = user;
    if (sent->refused++ == 0)
        fprintf(stderr, "strid-bench: record %llu: %s\n", (unsigned long long)number, why->message);
}

static strid_status send_all(strid_producer *producer, uint64_t records, uint64_t key_count,
                             strid_error *err)
{
    char value[VALUE_BYTES], key[KEYS_BYTES];
    struct keys keys;
    keys_init(&keys, 3, key_count, false);
    memset(value, 'v', sizeof value);
    const strid_output output = {.key = strid_bytes_of(key, sizeof key),
                                 .value = strid_bytes_of(value, sizeof value),
                                 .timestamp_ms = STRID_TIMESTAMP_NONE};
    strid_status status = STRID_OK;
    for (uint64_t i = 0; status == STRID_OK && i < records; i++) {
        keys_write(keys_next(&keys), key);
        status = strid_producer_send(producer, &output, i, err);
    }
    return status == STRID_OK ? strid_producer_flush(producer, err) : status;
}

static int run_producer(struct sent *sent, uint64_t records, struct bench_run *out)
{
    char url[MEASURE_PATH_MAX];
    strid_error error = STRID_ERROR_INIT;
    (void)snprintf(url, sizeof url, "kafka://%s/%s", sent->host.brokers, sent->host.topic);
    strid_producer *producer =
        strid_producer_create(&(strid_producer_options){STRID_PRODUCER_OPTIONS_INIT, .url = url,
                                                        .refused = count_refused, .user = sent},
                              &error);
    if (producer == NULL)
        return measure_failed(sent->workload->name, error.message);
    double wall_s = measure_wall_s(), cpu_s = measure_cpu_s();
    strid_status status = send_all(producer, records, sent->keys, &error);
    *out = (struct bench_run){
        .records = records, .wall_s = measure_wall_s() - wall_s, .cpu_s = measure_cpu_s() - cpu_s};
    strid_producer_destroy(producer);
    if (status != STRID_OK)
        return measure_failed(sent->workload->name, error.message);
    return sent->refused == 0 ? 0 : measure_failed(sent->workload->name, "records were refused");
}

static int run_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    struct sent *sent = user;
    uint64_t there = 0, records = (uint64_t)(seconds * RECORDS_PER_SECOND) + RECORDS_MIN;
    int result = side == 0 ? run_producer(sent, records, out)
                           : kafka_send_loop(sent->host.brokers, sent->host.topic, records,
                                             sent->keys, VALUE_BYTES, out);
    if (result == 0)
        result = kafka_host_count(&sent->host, &there);
    if (result == 0 && there != sent->there + records)
        result = measure_failed(sent->workload->name, "the topic has not what was sent");
    sent->there = there;
    return result;
}

int kafka_produce(const struct workload *workload, const struct bench_settings *settings)
{
    struct sent sent = {.workload = workload,
                        .settings = settings,
                        .keys = settings->keys != 0 ? settings->keys : workload->keys};
    struct measure_figures figures[MEASURE_SIDES_MAX];
    if (!kafka_host_is_there(workload->name))
        return 0;
    if (kafka_host_start(&sent.host, 0, 1, 0) != 0)
        return -1;
    const struct measure_plan plan = {.user = &sent, .run = run_side, .side_count = 2};
    int result = measure(&plan, settings, figures);
    kafka_host_stop(&sent.host);
    if (result != 0)
        return -1;
    const struct report_line line = {.name = workload->name,
                                     .baseline_name = "raw_librdkafka",
                                     .unit = "records/s",
                                     .engine = figures[0],
                                     .baseline = figures[1]};
    report_line(settings, &line);
    return 0;
}
