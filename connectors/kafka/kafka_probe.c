#define XXH_INLINE_ALL
#include "kafka_probe.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include "kafka_end.h"

#include <inttypes.h>
#include <xxhash.h>

#define COMPONENT "kafka"

enum { WAIT_MS = 100, SILENCE_MS = 15000 };

/* A topic of the probing client, and which probe each of its partitions has. */
struct probe_topic {
    const struct kafka_topic *topic;
    rd_kafka_topic_t *handle;
    uint32_t partitions;
    struct kafka_probe **of; /* by the partition's number; NULL: none, or none any more */
};

struct probing {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct probe_topic *topics;
    uint32_t topic_count;
    struct kafka_probe *probes;
    uint32_t count, answered;
    int tries; /* errors that pass */
};

static uint64_t hash_of(const rd_kafka_message_t *message)
{
    XXH3_state_t state;
    int64_t parts[4] = {(int64_t)message->key_len, message->key == NULL, (int64_t)message->len,
                        rd_kafka_message_timestamp(message, NULL)};
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, parts, sizeof parts);
    if (message->key != NULL)
        XXH3_64bits_update(&state, message->key, message->key_len);
    if (message->payload != NULL)
        XXH3_64bits_update(&state, message->payload, message->len);
    return XXH3_64bits_digest(&state);
}

static strid_status refuse(const struct kafka_probe_args *args,
                           const struct kafka_partition *partition, rd_kafka_resp_err_t code,
                           strid_error *err)
{
    return error_set(err, STRID_EUNREACHABLE, COMPONENT,
                     "%s [%" PRId32 "] on %s: a record that was read before cannot be read: %s; "
                     "check the brokers",
                     partition->topic->name, partition->number, args->brokers,
                     rd_kafka_err2str(code));
}

static struct probe_topic *topic_of(struct probing *probing, const struct kafka_topic *topic)
{
    for (uint32_t t = probing->topic_count; t > 0; t--) /* they come topic by topic */
        if (probing->topics[t - 1].topic == topic)
            return &probing->topics[t - 1];
    struct probe_topic *added = &probing->topics[probing->topic_count++];
    *added = (struct probe_topic){
        .topic = topic,
        .handle = rd_kafka_topic_new(probing->client, topic->name, NULL),
        .partitions = topic->partitions,
        .of = memory_alloc_zeroed((topic->partitions + 1) * sizeof(struct kafka_probe *))};
    return added;
}

static strid_status start_all(const struct kafka_probe_args *args, struct probing *probing,
                              strid_error *err)
{
    for (uint32_t i = 0; i < probing->count; i++) {
        struct kafka_probe *probe = &probing->probes[i];
        const struct kafka_partition *partition = probe->partition;
        struct probe_topic *topic = topic_of(probing, partition->topic);
        probe->found = probe->answered = false;
        if (topic->handle == NULL ||
            rd_kafka_consume_start_queue(topic->handle, partition->number, (int64_t)probe->offset,
                                         probing->queue) != 0)
            return refuse(args, partition, rd_kafka_last_error(), err);
        topic->of[partition->number] = probe;
    }
    return STRID_OK;
}

/* The probe that a message answers, once; NULL: none any more. */
static struct kafka_probe *probe_of(struct probing *probing, const rd_kafka_message_t *message,
                                    struct probe_topic **topic)
{
    for (uint32_t t = 0; t < probing->topic_count; t++) {
        *topic = &probing->topics[t];
        if ((*topic)->handle == message->rkt && message->partition >= 0 &&
            (uint32_t)message->partition < (*topic)->partitions)
            return (*topic)->of[message->partition];
    }
    return NULL;
}

/* Whatever a partition gives first is its answer, and all that is wanted of it. */
static strid_status take(const struct kafka_probe_args *args, struct probing *probing,
                         const rd_kafka_message_t *message, strid_error *err)
{
    struct probe_topic *topic = NULL;
    struct kafka_probe *probe = probe_of(probing, message, &topic);
    if (probe == NULL || kafka_client_try_again(message->err, &probing->tries))
        return STRID_OK; /* librdkafka fetches it again */
    bool nothing = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
                   message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && !nothing)
        return refuse(args, probe->partition, message->err, err);
    probe->found = !nothing && (uint64_t)message->offset == probe->offset;
    if (probe->found)
        probe->hash = hash_of(message);
    probe->answered = true;
    probing->answered++;
    topic->of[message->partition] = NULL;
    (void)rd_kafka_consume_stop(topic->handle, message->partition);
    return STRID_OK;
}

static strid_status read_all(const struct kafka_probe_args *args, struct probing *probing,
                             strid_error *err)
{
    int64_t since_ns = clock_monotonic_ns(&clock_system);
    while (probing->answered < probing->count) {
        uint32_t before = probing->answered;
        rd_kafka_message_t *message = rd_kafka_consume_queue(probing->queue, WAIT_MS);
        if (message != NULL) {
            strid_status status = take(args, probing, message, err);
            rd_kafka_message_destroy(message);
            STRID_TRY(status);
        }
        int64_t now_ns = clock_monotonic_ns(&clock_system);
        if (probing->answered > before)
            since_ns = now_ns;
        if (now_ns - since_ns < SILENCE_MS * INT64_C(1000000))
            continue;
        uint32_t silent = 0;
        while (probing->probes[silent].answered)
            silent++;
        return refuse(args, probing->probes[silent].partition, RD_KAFKA_RESP_ERR__TIMED_OUT, err);
    }
    return STRID_OK;
}

/* Of what the caller gave nothing is looked at: it may go on before this ends. */
static void end(void *self)
{
    struct probing *probing = self;
    for (uint32_t t = 0; t < probing->topic_count; t++) {
        struct probe_topic *topic = &probing->topics[t];
        for (uint32_t p = 0; p < topic->partitions; p++)
            if (topic->of[p] != NULL)
                (void)rd_kafka_consume_stop(topic->handle, (int32_t)p);
        if (topic->handle != NULL)
            rd_kafka_topic_destroy(topic->handle);
        memory_free(topic->of);
    }
    rd_kafka_queue_destroy(probing->queue);
    kafka_client_destroy(probing->client);
    memory_free(probing->topics);
    memory_free(probing);
}

strid_status kafka_probe_all(const struct kafka_probe_args *args, struct kafka_probe *probes,
                             uint32_t count, strid_error *err)
{
    rd_kafka_conf_t *conf = NULL;
    rd_kafka_t *client = NULL;
    if (count == 0)
        return STRID_OK;
    STRID_TRY(
        kafka_source_config_make_probe(args->brokers, args->options, args->prefetch, &conf, err));
    STRID_TRY(kafka_client_create(RD_KAFKA_CONSUMER, conf, args->log, &client, err));
    struct probing *probing = memory_alloc_zeroed(sizeof *probing);
    *probing = (struct probing){.client = client,
                                .queue = rd_kafka_queue_new(client),
                                .topics = memory_alloc_zeroed(count * sizeof *probing->topics),
                                .probes = probes,
                                .count = count};
    strid_status status = start_all(args, probing, err);
    if (status == STRID_OK)
        status = read_all(args, probing, err);
    kafka_end(end, probing, client, args->log);
    return status;
}
