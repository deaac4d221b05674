#include "kafka_read.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#include "kafka_source_config.h"
#include "kafka_topics.h"

#include <inttypes.h>
#include <string.h>

#define COMPONENT "kafka"

enum { WAIT_MS = 100, ASK_MS = 15000, SILENCE_MS = 30000, USUAL_HEADERS = 16 };

struct tapped {
    strid_origin origin;
    int64_t low, high; /* when the reading began */
    int64_t start;
    bool ended;
};

struct kafka_reading {
    const strid_connector_args *args;
    const strid_read_range *range;
    strid_read_fn fn;
    void *user;
    struct kafka_target target;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct kafka_topics topics;
    struct tapped *partitions; /* topic by topic */
    uint32_t started, ended;
    bool follow;
    bool stopped; /* by the callback */
    int tries;    /* since the last message: errors that pass */
};

static strid_status refuse(const struct tapped *tapped, rd_kafka_resp_err_t code, strid_error *err)
{
    bool silent = code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT;
    return error_set(err, silent ? STRID_EUNREACHABLE : STRID_EIO, COMPONENT,
                     "%s [%" PRIu32 "] of %s cannot be read: %s", tapped->origin.topic,
                     tapped->origin.partition, tapped->origin.source, rd_kafka_err2str(code));
}

static strid_status open_client(struct kafka_reading *reading, strid_error *err)
{
    const struct kafka_source_options *options = reading->args->options;
    const struct kafka_prefetch prefetch = {
        .fetch_bytes = 8u << 20, .bytes = 8u << 20, .messages = 10000};
    rd_kafka_conf_t *conf = NULL;
    if (reading->range->start == STRID_READ_STORED && options->group == NULL)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "to begin where a group stands, name it: add ?group=NAME to the URL");
    STRID_TRY(kafka_target_parse(reading->args->target, &reading->target, err));
    STRID_TRY(kafka_source_config_make(reading->target.brokers, reading->args->pipeline, options,
                                       &prefetch, &conf, err));
    STRID_TRY(
        kafka_client_create(RD_KAFKA_CONSUMER, conf, reading->args->log, &reading->client, err));
    STRID_TRY(kafka_topics_resolve(reading->client, reading->target.brokers, reading->target.topic,
                                   KAFKA_TOPICS_TO_SHOW, &reading->topics, err));
    STRID_TRY(kafka_topics_open(reading->client, reading->target.brokers, &reading->topics, err));
    reading->partitions =
        memory_alloc_zeroed((reading->topics.partitions + 1) * sizeof *reading->partitions);
    for (uint32_t t = 0; t < reading->topics.count; t++) {
        const struct kafka_topic *topic = &reading->topics.items[t];
        for (uint32_t p = 0; p < topic->partitions; p++)
            reading->partitions[topic->first + p].origin = (strid_origin){
                .source = reading->target.brokers, .topic = topic->name, .partition = p};
    }
    return STRID_OK;
}

static strid_status ask_extents(struct kafka_reading *reading, strid_error *err)
{
    for (uint32_t i = 0; i < reading->topics.partitions; i++) {
        struct tapped *tapped = &reading->partitions[i];
        rd_kafka_resp_err_t code;
        int tries = 0;
        do
            code = rd_kafka_query_watermark_offsets(reading->client, tapped->origin.topic,
                                                    (int32_t)tapped->origin.partition, &tapped->low,
                                                    &tapped->high, ASK_MS);
        while (kafka_client_try_again(code, &tries));
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return refuse(tapped, code, err);
    }
    return STRID_OK;
}

/* What the brokers know of each partition: where the group is, or what came at a time. */
static strid_status ask_offsets(struct kafka_reading *reading, strid_error *err)
{
    uint32_t count = reading->topics.partitions;
    const bool by_time = reading->range->start == STRID_READ_TIME;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (uint32_t i = 0; i < count; i++) {
        const strid_origin *origin = &reading->partitions[i].origin;
        rd_kafka_topic_partition_list_add(list, origin->topic, (int32_t)origin->partition)->offset =
            by_time ? reading->range->start_ms : RD_KAFKA_OFFSET_INVALID;
    }
    rd_kafka_resp_err_t code = by_time ? rd_kafka_offsets_for_times(reading->client, list, ASK_MS)
                                       : rd_kafka_committed(reading->client, list, ASK_MS);
    strid_status status = STRID_OK;
    for (uint32_t i = 0; i < count && status == STRID_OK; i++) {
        struct tapped *tapped = &reading->partitions[i];
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR || list->elems[i].err != 0)
            status =
                refuse(tapped, code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : list->elems[i].err, err);
        else if (list->elems[i].offset >= 0)
            tapped->start = list->elems[i].offset;
        else
            tapped->start = by_time ? tapped->high : tapped->low; /* nothing so late; no offset */
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

static void set_starts(struct kafka_reading *reading)
{
    const strid_read_range *range = reading->range;
    for (uint32_t i = 0; i < reading->topics.partitions; i++) {
        struct tapped *tapped = &reading->partitions[i];
        int64_t start = tapped->start;
        if (range->start == STRID_READ_BEGINNING)
            start = tapped->low;
        else if (range->start == STRID_READ_END)
            start = tapped->high;
        else if (range->start == STRID_READ_LAST)
            start = range->count > (uint64_t)tapped->high ? tapped->low
                                                          : tapped->high - (int64_t)range->count;
        else if (range->start == STRID_READ_POSITION)
            start = range->position.low > (uint64_t)tapped->high ? tapped->high
                                                                 : (int64_t)range->position.low;
        if (start < tapped->low) {
            if (range->start != STRID_READ_LAST)
                log_warn((const struct log *)reading->args->log, COMPONENT,
                         "%s [%" PRIu32 "] begins at %" PRId64 ": what lay before it was deleted",
                         tapped->origin.topic, tapped->origin.partition, tapped->low);
            start = tapped->low;
        }
        tapped->start = start;
    }
}

static strid_status start_all(struct kafka_reading *reading, strid_error *err)
{
    STRID_TRY(ask_extents(reading, err));
    if (reading->range->start == STRID_READ_TIME || reading->range->start == STRID_READ_STORED)
        STRID_TRY(ask_offsets(reading, err));
    set_starts(reading);
    reading->queue = rd_kafka_queue_new(reading->client);
    for (uint32_t t = 0; t < reading->topics.count; t++) {
        const struct kafka_topic *topic = &reading->topics.items[t];
        for (uint32_t p = 0; p < topic->partitions; p++) {
            struct tapped *tapped = &reading->partitions[topic->first + p];
            if (rd_kafka_consume_start_queue(topic->handle, (int32_t)p, tapped->start,
                                             reading->queue) != 0)
                return refuse(tapped, rd_kafka_last_error(), err);
            reading->started++;
        }
    }
    return STRID_OK;
}

static void end_partition(struct kafka_reading *reading, struct tapped *tapped)
{
    if (!tapped->ended)
        reading->ended++;
    tapped->ended = true;
}

static bool give(struct kafka_reading *reading, const struct tapped *tapped,
                 const rd_kafka_message_t *message, const strid_header *headers,
                 uint32_t header_count)
{
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    strid_record record = {
        .key = strid_bytes_of(message->key, message->key == NULL ? 0 : message->key_len),
        .value = strid_bytes_of(message->payload, message->payload == NULL ? 0 : message->len),
        .position = {0, (uint64_t)message->offset},
        .timestamp_ms = timestamp_ms < 0 ? STRID_TIMESTAMP_NONE : timestamp_ms,
        .origin = &tapped->origin,
        .headers = headers,
        .header_count = header_count};
    strid_read_record read = {.record = &record, .broker = rd_kafka_message_broker_id(message)};
    if (type == RD_KAFKA_TIMESTAMP_CREATE_TIME)
        read.timestamp_type = "create";
    else if (type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME)
        read.timestamp_type = "logappend";
    return reading->fn(reading->user, &read);
}

static bool give_with_headers(struct kafka_reading *reading, const struct tapped *tapped,
                              const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *found = NULL;
    strid_header usual[USUAL_HEADERS];
    if (rd_kafka_message_headers(message, &found) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return give(reading, tapped, message, NULL, 0);
    size_t count = rd_kafka_header_cnt(found);
    strid_header *list = count <= USUAL_HEADERS ? usual : memory_alloc(count * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        const char *name = "";
        const void *value = NULL;
        size_t len = 0;
        (void)rd_kafka_header_get_all(found, i, &name, &value, &len);
        list[i] = (strid_header){.name = strid_bytes_of_text(name),
                                 .value = strid_bytes_of(value, value == NULL ? 0 : len)};
    }
    bool more = give(reading, tapped, message, list, (uint32_t)count);
    if (list != usual)
        memory_free(list);
    return more;
}

static struct tapped *partition_of(struct kafka_reading *reading, const rd_kafka_message_t *message)
{
    const char *name = message->rkt == NULL ? "" : rd_kafka_topic_name(message->rkt);
    for (uint32_t t = 0; t < reading->topics.count; t++) {
        const struct kafka_topic *topic = &reading->topics.items[t];
        if (strcmp(topic->name, name) == 0 && message->partition >= 0 &&
            (uint32_t)message->partition < topic->partitions)
            return &reading->partitions[topic->first + (uint32_t)message->partition];
    }
    return NULL;
}

static strid_status take(struct kafka_reading *reading, const rd_kafka_message_t *message,
                         strid_error *err)
{
    struct tapped *tapped = partition_of(reading, message);
    if (tapped == NULL) /* of the client as a whole, which goes on trying; the log has it */
        return STRID_OK;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (!reading->follow)
            end_partition(reading, tapped);
        return STRID_OK;
    }
    if (kafka_client_try_again(message->err, &reading->tries))
        return STRID_OK; /* librdkafka fetches it again */
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return refuse(tapped, message->err, err);
    reading->tries = 0;
    rd_kafka_timestamp_type_t type;
    if (!tapped->ended && reading->range->end_ms != STRID_READ_WITHOUT_END &&
        rd_kafka_message_timestamp(message, &type) >= reading->range->end_ms)
        end_partition(reading, tapped);
    if (!tapped->ended)
        reading->stopped = !give_with_headers(reading, tapped, message);
    return STRID_OK;
}

/* The callback hears of a pause as soon as nothing lies ready: records that come one by one, each
 * within WAIT_MS of the one before, are not kept back. NULL: nothing came, or it wants no more. */
static rd_kafka_message_t *next_message(struct kafka_reading *reading)
{
    rd_kafka_message_t *message = rd_kafka_consume_queue(reading->queue, 0);
    if (message != NULL)
        return message;
    reading->stopped = !reading->fn(reading->user, NULL);
    return reading->stopped ? NULL : rd_kafka_consume_queue(reading->queue, WAIT_MS);
}

static strid_status read_on(struct kafka_reading *reading, strid_error *err)
{
    int64_t silent_since_ns = clock_monotonic_ns(&clock_system);
    while (!reading->stopped && reading->ended < reading->started) {
        rd_kafka_message_t *message = next_message(reading);
        if (message != NULL) {
            strid_status status = take(reading, message, err);
            rd_kafka_message_destroy(message);
            STRID_TRY(status);
            silent_since_ns = clock_monotonic_ns(&clock_system);
            continue;
        }
        int64_t silent_ms = (clock_monotonic_ns(&clock_system) - silent_since_ns) / 1000000;
        if (!reading->follow && silent_ms > SILENCE_MS)
            return error_set(err, STRID_EUNREACHABLE, COMPONENT,
                             "%s gave nothing for %d s, though there is more",
                             reading->target.brokers, SILENCE_MS / 1000);
    }
    return STRID_OK;
}

static void close_all(struct kafka_reading *reading)
{
    uint32_t left = reading->started;
    for (uint32_t t = 0; t < reading->topics.count; t++) {
        const struct kafka_topic *topic = &reading->topics.items[t];
        for (uint32_t p = 0; p < topic->partitions && left > 0; p++, left--)
            (void)rd_kafka_consume_stop(topic->handle, (int32_t)p);
    }
    if (reading->queue != NULL)
        rd_kafka_queue_destroy(reading->queue);
    kafka_topics_fini(&reading->topics);
    if (reading->client != NULL)
        kafka_client_destroy(reading->client);
    memory_free(reading->partitions);
    kafka_target_fini(&reading->target);
}

strid_status kafka_read(const strid_connector_args *args, const strid_read_range *range,
                        strid_read_fn fn, void *user, strid_error *err)
{
    struct kafka_reading reading = {.args = args,
                                    .range = range,
                                    .fn = fn,
                                    .user = user,
                                    .follow = range->follow &&
                                              range->end_ms > clock_wall_ms(&clock_system)};
    strid_status status = open_client(&reading, err);
    if (status == STRID_OK)
        status = start_all(&reading, err);
    if (status == STRID_OK)
        status = read_on(&reading, err);
    close_all(&reading);
    return status;
}
