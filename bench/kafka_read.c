/* Records of a Kafka topic: the engine without state beside librdkafka alone (kafka_noop), and a
 * durable count per key beside the engine without state (kafka_count). Each run reads the whole
 * topic from its beginning, which is checked. Without a broker there is nothing to measure. */
#include <stdio.h>

#include "engine_run.h"
#include "kafka_host.h"
#include "raw/kafka_loop.h"
#include "report.h"
#include "rival.h"
#include "scratch.h"
#include "share.h"
#include "workload.h"

enum { RECORDS_PER_SECOND = 1000000, RECORDS_MIN = 10000, VALUE_BYTES = 100 };

struct topic {
    const struct workload *workload;
    const struct bench_settings *settings;
    struct kafka_host host;
    uint64_t count;
    strid_store store;
    char source[MEASURE_PATH_MAX];
    char state_directory[MEASURE_PATH_MAX];
    char state[MEASURE_PATH_MAX + 16];
};

static strid_outcome do_nothing(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx;
    (void)record;
    (void)user;
    return STRID_DONE;
}

static strid_outcome count_record(strid_context *ctx, const strid_record *record, void *user)
{
    (void)record;
    const struct topic *topic = user;
    strid_state_put_i64(ctx, topic->store, strid_state_get_i64(ctx, topic->store, 0) + 1);
    return STRID_DONE;
}

static int run_engine(struct topic *topic, bool counts, struct bench_run *out)
{
    scratch_remove(topic->state_directory);
    const struct engine_run run = {.name = topic->workload->name,
                                   .source = topic->source,
                                   .state = topic->state,
                                   .directory = topic->state_directory,
                                   .format = "raw",
                                   .store = counts ? "records" : NULL,
                                   .store_out = &topic->store,
                                   .handler = counts ? count_record : do_nothing,
                                   .user = topic,
                                   .settings = topic->settings};
    int64_t sum = 0;
    uint64_t keys = 0;
    strid_pipeline_stats stats;
    if (engine_run(&run, out, &stats) != 0)
        return -1;
    if (stats.done != topic->count)
        return measure_failed(run.name, "not every record was handled once");
    if (!counts)
        return 0;
    if (engine_run_sum(topic->state, "records", &sum, &keys) != 0)
        return -1;
    return (uint64_t)sum == topic->count ? 0 : measure_failed(run.name, "counts do not add up");
}

static int run_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    struct topic *topic = user;
    (void)seconds;
    if (side == 0)
        return run_engine(topic, false, out);
    if (kafka_loop_read(topic->host.brokers, topic->host.topic, KAFKA_HOST_PARTITIONS,
                        share_source_bytes(topic->settings), out) != 0)
        return -1;
    return out->records == topic->count ? 0 : measure_failed("librdkafka", "not all was read");
}

static int run_count_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    struct topic *topic = user;
    if (side < 2)
        return run_engine(topic, side == 0, out);
    const struct rival rival = {
        .name = "streams", .class = "Streams", .host = &topic->host, .records = topic->count};
    return rival_run(&rival, topic->settings, seconds, out);
}

static int start(struct topic *topic, const struct workload *workload,
                 const struct bench_settings *settings)
{
    *topic = (struct topic){.workload = workload, .settings = settings};
    topic->count = (uint64_t)(settings->seconds * RECORDS_PER_SECOND) + RECORDS_MIN;
    uint64_t keys = settings->keys != 0 ? settings->keys : workload->keys;
    if (kafka_host_start(&topic->host, topic->count, keys, VALUE_BYTES) != 0)
        return -1;
    (void)snprintf(topic->source, sizeof topic->source, "kafka://%s/%s?follow=false&start=earliest",
                   topic->host.brokers, topic->host.topic);
    (void)snprintf(topic->state_directory, sizeof topic->state_directory, "%s/kafka.state",
                   settings->directory);
    (void)snprintf(topic->state, sizeof topic->state, "rocksdb:%s", topic->state_directory);
    return 0;
}

/* The third side is another system's. */
static int compare(const struct workload *workload, const struct bench_settings *settings,
                   measure_side side, const char *const baselines[2])
{
    struct topic topic;
    struct measure_figures figures[MEASURE_SIDES_MAX];
    uint32_t sides = baselines[1] != NULL ? 3 : 2;
    if (!kafka_host_is_there(workload->name))
        return 0;
    if (start(&topic, workload, settings) != 0)
        return -1;
    const struct measure_plan plan = {.user = &topic, .run = side, .side_count = sides};
    int result = measure(&plan, settings, figures);
    kafka_host_stop(&topic.host);
    if (result != 0)
        return -1;
    for (uint32_t i = 1; i < sides; i++) {
        char name[REPORT_NAME_MAX];
        report_name(workload->name, i == 1 ? NULL : baselines[i - 1], name);
        const struct report_line line = {.name = name,
                                         .baseline_name = baselines[i - 1],
                                         .unit = "records/s",
                                         .engine = figures[0],
                                         .baseline = figures[i]};
        report_line(settings, &line);
    }
    return 0;
}

int kafka_noop(const struct workload *workload, const struct bench_settings *settings)
{
    const char *const baselines[2] = {"raw_librdkafka", NULL};
    return compare(workload, settings, run_side, baselines);
}

int kafka_count(const struct workload *workload, const struct bench_settings *settings)
{
    const char *const baselines[2] = {"kafka_noop",
                                      settings->rivals != NULL ? "kafka_streams" : NULL};
    return compare(workload, settings, run_count_side, baselines);
}
