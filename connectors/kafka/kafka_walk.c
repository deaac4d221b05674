#include "kafka_walk.h"

#include "base/error.h"
#include "base/memory.h"

#include "kafka_sink.h"

#include <inttypes.h>
#include <string.h>

#define COMPONENT "kafka"

/* A partition that gives nothing for that long, though more is there, is an error. */
enum { WAIT_MS = 30000 };

struct pass {
    struct kafka_walk *walk;
    struct kafka_walk_range range;
    kafka_walk_fn fn; /* NULL: marks are collected */
    void *user;
    bool ended; /* by the callback */
};

static strid_status take(struct pass *pass, uint32_t place, const rd_kafka_message_t *message,
                         strid_error *err)
{
    struct kafka_walk *walk = pass->walk;
    bool is_mark = false, more = true;
    walk->places[place].is_empty = false;
    if (pass->fn == NULL)
        return kafka_marks_take(&walk->marks, message, place, &is_mark, err);
    if (kafka_marks_is_one(message))
        return STRID_OK;
    struct kafka_walk_record record = {.message = message, .place = place};
    if (kafka_letter_parse(&walk->letter, message)) {
        record.letter = &walk->letter;
        record.mark = kafka_marks_find(&walk->marks, walk->letter.output.id);
        walk->letter.letter.replayed = record.mark.kind == KAFKA_MARK_REPLAYED;
    }
    strid_status status = pass->fn(pass->user, &record, &more, err);
    pass->ended = !more;
    return status;
}

static strid_status refuse(const struct kafka_walk_place *place, rd_kafka_resp_err_t code,
                           strid_error *err)
{
    strid_status status =
        error_set(err, STRID_EIO, COMPONENT, "%s [%" PRId32 "] cannot be read: %s", place->topic,
                  place->partition, rd_kafka_err2str(code));
    if (err != NULL)
        err->native_code = (int32_t)code;
    return status;
}

/* The first pass reads up to the end and keeps it; the second one goes no further. */
static strid_status read_messages(struct pass *pass, uint32_t index, rd_kafka_topic_t *topic,
                                  strid_error *err)
{
    struct kafka_walk_place *place = &pass->walk->places[index];
    strid_status status = STRID_OK;
    int tries = 0;
    for (bool more = true; more && !pass->ended && status == STRID_OK;) {
        rd_kafka_message_t *message = rd_kafka_consume(topic, place->partition, WAIT_MS);
        rd_kafka_resp_err_t code = message == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : message->err;
        bool is_answer = code == RD_KAFKA_RESP_ERR_NO_ERROR;
        if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            more = false;
            if (pass->fn == NULL || message->offset < place->end)
                place->end = message->offset;
        } else if (is_answer && pass->fn != NULL && message->offset >= place->end) {
            more = false;
        } else if (is_answer) {
            status = take(pass, index, message, err);
        } else if (!kafka_client_try_again(code, &tries)) { /* else it is fetched again */
            status = refuse(place, code, err);
        }
        if (message != NULL)
            rd_kafka_message_destroy(message);
    }
    return status;
}

static strid_status read_place(struct pass *pass, uint32_t index, strid_error *err)
{
    const struct kafka_walk_place *place = &pass->walk->places[index];
    rd_kafka_topic_t *topic = rd_kafka_topic_new(pass->walk->client, place->topic, NULL);
    strid_status status = STRID_OK;
    if (rd_kafka_consume_start(topic, place->partition, RD_KAFKA_OFFSET_BEGINNING) != 0) {
        status = refuse(place, rd_kafka_last_error(), err);
    } else {
        status = read_messages(pass, index, topic, err);
        (void)rd_kafka_consume_stop(topic, place->partition);
    }
    rd_kafka_topic_destroy(topic);
    return status;
}

static strid_status read_all(struct pass *pass, strid_error *err)
{
    strid_status status = STRID_OK;
    for (uint32_t i = pass->range.first; i < pass->range.end && status == STRID_OK && !pass->ended;
         i++)
        status = read_place(pass, i, err);
    return status;
}

static void add_places(struct kafka_walk *walk, const rd_kafka_metadata_topic_t *found)
{
    uint32_t count = walk->place_count + (uint32_t)found->partition_cnt;
    walk->places = memory_resize(walk->places, count * sizeof *walk->places);
    for (int p = 0; p < found->partition_cnt; p++)
        walk->places[walk->place_count++] = (struct kafka_walk_place){
            .topic = memory_copy_text(found->topic), .partition = found->partitions[p].id};
}

static strid_status find_places(struct kafka_walk *walk, strid_error *err)
{
    const struct kafka_sink_options *options = walk->args->options;
    const rd_kafka_metadata_t *metadata = NULL;
    STRID_TRY(kafka_client_metadata(walk->client, walk->target.brokers, NULL, &metadata, err));
    for (int t = 0; t < metadata->topic_cnt; t++)
        if (metadata->topics[t].partition_cnt > 0 &&
            kafka_sink_topic_matches(walk->target.topic, options->topics,
                                     metadata->topics[t].topic))
            add_places(walk, &metadata->topics[t]);
    rd_kafka_metadata_destroy(metadata);
    return STRID_OK;
}

strid_status kafka_walk_open(struct kafka_walk *walk, const strid_connector_args *args,
                             strid_error *err)
{
    /* Each partition is read to its end, twice, and its end is known only after such a wait. */
    static const struct kafka_setting defaults[] = {{"fetch.wait.max.ms", "10"}, {NULL, NULL}};
    static const struct kafka_setting fixed[] = {{"isolation.level", "read_committed"},
                                                 {"enable.partition.eof", "true"},
                                                 {"check.crcs", "true"},
                                                 {"allow.auto.create.topics", "false"},
                                                 {"auto.offset.reset", "error"},
                                                 {NULL, NULL}};
    const struct kafka_sink_options *options = args->options;
    rd_kafka_conf_t *conf = NULL;
    *walk = (struct kafka_walk){.args = args};
    STRID_TRY(kafka_target_parse(args->target, &walk->target, err));
    STRID_TRY(
        kafka_config_make(walk->target.brokers, defaults, options->properties, fixed, &conf, err));
    STRID_TRY(kafka_client_create(RD_KAFKA_CONSUMER, conf, args->log, &walk->client, err));
    return find_places(walk, err);
}

struct kafka_walk_range kafka_walk_all(const struct kafka_walk *walk)
{
    return (struct kafka_walk_range){0, walk->place_count};
}

struct kafka_walk_range kafka_walk_topic(const struct kafka_walk *walk, uint32_t first)
{
    uint32_t end = first;
    while (end < walk->place_count &&
           strcmp(walk->places[end].topic, walk->places[first].topic) == 0)
        end++;
    return (struct kafka_walk_range){first, end};
}

strid_status kafka_walk_marks(struct kafka_walk *walk, struct kafka_walk_range range,
                              strid_error *err)
{
    for (uint32_t i = range.first; i < range.end; i++)
        walk->places[i].is_empty = true;
    return read_all(&(struct pass){.walk = walk, .range = range}, err);
}

strid_status kafka_walk_records(struct kafka_walk *walk, struct kafka_walk_range range,
                                kafka_walk_fn fn, void *user, strid_error *err)
{
    return read_all(&(struct pass){.walk = walk, .range = range, .fn = fn, .user = user}, err);
}

void kafka_walk_close(struct kafka_walk *walk)
{
    if (walk->client != NULL)
        kafka_client_destroy(walk->client);
    for (uint32_t i = 0; i < walk->place_count; i++)
        memory_free(walk->places[i].topic);
    memory_free(walk->places);
    kafka_letter_fini(&walk->letter);
    kafka_marks_fini(&walk->marks);
    kafka_target_fini(&walk->target);
    *walk = (struct kafka_walk){0};
}
