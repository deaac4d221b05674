#include "kafka_browse.h"

#include "base/error.h"
#include "base/log.h"
#include "base/units.h"

#include "kafka_client.h"
#include "kafka_marks.h"
#include "kafka_sink.h"

#include <inttypes.h>
#include <string.h>

#define COMPONENT "kafka"

/* A partition that gives nothing for that long, though more is there, is an error. */
enum { WAIT_MS = 30000 };

struct browse {
    const strid_connector_args *args;
    kafka_browse_fn fn; /* NULL: marks are collected */
    void *user;
    rd_kafka_t *client;
    struct kafka_letter letter;
    struct kafka_marks marks;
    uint64_t passed_over;
    bool ended; /* by the callback */
};

/* Marks stand behind what they are about, so they are all read before the first letter is given. */
static strid_status take(struct browse *browse, const rd_kafka_message_t *message, strid_error *err)
{
    bool is_mark = false, more = true;
    STRID_TRY(kafka_marks_take(&browse->marks, message, &is_mark, err));
    if (is_mark || browse->fn == NULL)
        return STRID_OK;
    if (!kafka_letter_parse(&browse->letter, message)) {
        browse->passed_over++;
        return STRID_OK;
    }
    browse->letter.letter.replayed = kafka_marks_has(&browse->marks, browse->letter.output.id);
    strid_status status = browse->fn(browse->user, &browse->letter, message, &more, err);
    browse->ended = !more;
    return status;
}

static strid_status read_partition(struct browse *browse, rd_kafka_topic_t *topic,
                                   int32_t partition, strid_error *err)
{
    strid_status status = STRID_OK;
    bool more = rd_kafka_consume_start(topic, partition, RD_KAFKA_OFFSET_BEGINNING) == 0;
    if (!more)
        return error_set(err, STRID_EIO, COMPONENT, "%s [%" PRId32 "] cannot be read: %s",
                         rd_kafka_topic_name(topic), partition,
                         rd_kafka_err2str(rd_kafka_last_error()));
    int tries = 0;
    while (more && !browse->ended && status == STRID_OK) {
        rd_kafka_message_t *message = rd_kafka_consume(topic, partition, WAIT_MS);
        rd_kafka_resp_err_t code = message == NULL ? RD_KAFKA_RESP_ERR__TIMED_OUT : message->err;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            status = take(browse, message, err);
        else if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            more = false;
        else if (!kafka_client_try_again(code, &tries)) /* else it is fetched again */
            status = error_set(err, STRID_EIO, COMPONENT, "%s [%" PRId32 "] cannot be read: %s",
                               rd_kafka_topic_name(topic), partition, rd_kafka_err2str(code));
        if (message != NULL)
            rd_kafka_message_destroy(message);
    }
    (void)rd_kafka_consume_stop(topic, partition);
    return status;
}

static strid_status read_topic(struct browse *browse, const rd_kafka_metadata_topic_t *found,
                               strid_error *err)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(browse->client, found->topic, NULL);
    strid_status status = STRID_OK;
    for (int p = 0; p < found->partition_cnt && status == STRID_OK && !browse->ended; p++)
        status = read_partition(browse, topic, found->partitions[p].id, err);
    rd_kafka_topic_destroy(topic);
    return status;
}

static strid_status read_topics(struct browse *browse, const struct kafka_target *target,
                                strid_error *err)
{
    const struct kafka_sink_options *options = browse->args->options;
    const rd_kafka_metadata_t *metadata = NULL;
    STRID_TRY(kafka_client_metadata(browse->client, target->brokers, NULL, &metadata, err));
    strid_status status = STRID_OK;
    for (int t = 0; t < metadata->topic_cnt && status == STRID_OK && !browse->ended; t++)
        if (kafka_sink_topic_matches(target->topic, options->topics, metadata->topics[t].topic))
            status = read_topic(browse, &metadata->topics[t], err);
    rd_kafka_metadata_destroy(metadata);
    return status;
}

/* Once for the marks, once for the letters. */
static strid_status read_twice(struct browse *browse, const struct kafka_target *target,
                               strid_error *err)
{
    kafka_browse_fn fn = browse->fn;
    browse->fn = NULL;
    STRID_TRY(read_topics(browse, target, err));
    browse->fn = fn;
    return read_topics(browse, target, err);
}

strid_status kafka_browse_letters(const strid_connector_args *args, kafka_browse_fn fn, void *user,
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
    struct browse browse = {.args = args, .fn = fn, .user = user};
    struct kafka_target target;
    rd_kafka_conf_t *conf = NULL;
    STRID_TRY(kafka_target_parse(args->target, &target, err));
    strid_status status =
        kafka_config_make(target.brokers, defaults, options->properties, fixed, &conf, err);
    if (status == STRID_OK)
        status = kafka_client_create(RD_KAFKA_CONSUMER, conf, args->log, &browse.client, err);
    if (status == STRID_OK) {
        status = read_twice(&browse, &target, err);
        kafka_client_destroy(browse.client);
    }
    if (browse.passed_over > 0 && args->log != NULL)
        log_warn((const struct log *)args->log, COMPONENT,
                 "%s: passed over %" PRIu64 " record%s without a dead letter", args->url,
                 browse.passed_over, units_plural(browse.passed_over));
    kafka_letter_fini(&browse.letter);
    kafka_marks_fini(&browse.marks);
    kafka_target_fini(&target);
    return status;
}

struct listing {
    bool (*fn)(void *user, const strid_output *letter);
    void *user;
};

static strid_status list_letter(void *user, const struct kafka_letter *letter,
                                const rd_kafka_message_t *message, bool *more, strid_error *err)
{
    const struct listing *listing = user;
    (void)message;
    (void)err;
    *more = listing->fn(listing->user, &letter->output);
    return STRID_OK;
}

strid_status kafka_browse(const strid_connector_args *args,
                          bool (*fn)(void *user, const strid_output *letter), void *user,
                          strid_error *err)
{
    struct listing listing = {.fn = fn, .user = user};
    return kafka_browse_letters(args, list_letter, &listing, err);
}
