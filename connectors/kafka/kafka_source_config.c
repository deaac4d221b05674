#include "kafka_source_config.h"

#include "base/buffer.h"
#include "base/error.h"

#include "kafka_topics.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPONENT "kafka"
#define OPTION(member) offsetof(struct kafka_source_options, member)

enum { LETTER_BYTES_MAX = 100000000 };

static const char *const gap_words[] = {"stop", "skip", NULL};
static const char *const assign_words[] = {"static", "group", NULL};

const strid_option kafka_source_config[] = {
    {
        .name = "group",
        .type = STRID_OPTION_STRING,
        .offset = OPTION(group),
        .doc = "The consumer group that is told how far everything is durable, for monitoring and "
               "for `start: group`. Reading resumes from the state directory, not from there.",
    },
    {
        .name = "start",
        .type = STRID_OPTION_STRING,
        .offset = OPTION(start),
        .doc = "Where reading begins while nothing was read: earliest, latest, group, or "
               "timestamp:MS, milliseconds since 1970. Without it: at the beginning; but if the "
               "group has been further, the state is missing, and nothing starts.",
    },
    {
        .name = "assign",
        .type = STRID_OPTION_ENUM,
        .fallback = "static",
        .choices = assign_words,
        .offset = OPTION(assign),
        .doc = "Who reads which partitions: static, this node reads all of them; or group, the "
               "members of the group share them, which a pipeline that keeps state can only do "
               "alone.",
    },
    {
        .name = "hand_over",
        .type = STRID_OPTION_DURATION,
        .fallback = "30s",
        .min = 100,
        .max = 240000,
        .offset = OPTION(hand_over_ms),
        .doc = "With `assign: group`, how long a partition that goes to another node is kept until "
               "all that was read of it is done.",
    },
    {
        .name = "follow",
        .type = STRID_OPTION_BOOL,
        .fallback = "true",
        .offset = OPTION(follow),
        .doc = "Whether records that come later are waited for; false: it ends with those that are "
               "there when the run begins.",
    },
    {
        .name = "on_gap",
        .type = STRID_OPTION_ENUM,
        .fallback = "stop",
        .choices = gap_words,
        .offset = OPTION(on_gap),
        .doc = "What happens where the brokers have deleted records that were not read yet: stop "
               "that partition, or skip to the first that is there, which is logged.",
    },
    {
        .name = "commit_interval",
        .type = STRID_OPTION_DURATION,
        .fallback = "500ms",
        .min = 10,
        .max = 3600000,
        .offset = OPTION(commit_interval_ms),
        .doc = "How often the group is told.",
    },
    {
        .name = "refresh",
        .type = STRID_OPTION_DURATION,
        .fallback = "30s",
        .min = 100,
        .max = 3600000,
        .offset = OPTION(refresh_ms),
        .doc = "How often new topics and partitions are looked for.",
    },
    {
        .name = "kafka.",
        .type = STRID_OPTION_PROPERTIES,
        .offset = OPTION(properties),
        .flags = STRID_OPTION_SECRET,
        .doc = "A property of librdkafka, such as kafka.security.protocol or "
               "kafka.sasl.password. Some are denied, with the reason.",
        .check = kafka_config_check,
    },
    {0},
};

strid_status kafka_source_config_start(const struct kafka_source_options *options,
                                       struct kafka_start *out, strid_error *err)
{
    static const char timestamp[] = "timestamp:";
    static const struct {
        const char *word;
        enum kafka_start_kind kind;
    } words[] = {{"earliest", KAFKA_START_EARLIEST},
                 {"latest", KAFKA_START_LATEST},
                 {"group", KAFKA_START_GROUP}};
    *out = (struct kafka_start){.kind = KAFKA_START_UNSAID};
    const char *text = options->start;
    for (size_t i = 0; text != NULL && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i].word) == 0)
            out->kind = words[i].kind;
    if (out->kind == KAFKA_START_GROUP && options->group == NULL)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "\"start\": group needs a \"group\": add ?group=NAME to the URL");
    if (text == NULL || out->kind != KAFKA_START_UNSAID)
        return STRID_OK;
    if (strncmp(text, timestamp, sizeof timestamp - 1) == 0) {
        char *end = NULL;
        const char *digits = text + sizeof timestamp - 1;
        errno = 0;
        out->timestamp_ms = strtoll(digits, &end, 10);
        out->kind = KAFKA_START_TIMESTAMP;
        if (errno == 0 && end != digits && *end == '\0' && out->timestamp_ms >= 0)
            return STRID_OK;
    }
    return error_set(err, STRID_ECONFIG, COMPONENT,
                     "\"start\": \"%s\": expected earliest, latest, group, or timestamp:MS with "
                     "milliseconds since 1970",
                     text);
}

strid_status kafka_source_config_check(const struct kafka_source_options *options, strid_error *err)
{
    if (options->assign == KAFKA_ASSIGN_STATIC)
        return STRID_OK;
    if (options->group == NULL)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "\"assign\": group needs a \"group\": add ?group=NAME to the URL");
    if (!options->follow)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "\"follow\": false does not go with \"assign\": group: a share of a "
                         "group's partitions has no end; leave one of them out");
    return STRID_OK;
}

/* A message costs some 500 bytes beside what is in it. What one answer unpacks into comes on top of
 * a queue that is almost full, six times its bytes where messages are small. */
struct kafka_prefetch kafka_source_config_divide(uint64_t memory_bytes, uint32_t queues)
{
    enum { MESSAGE_COST = 500, FETCH_PARTS = 16, QUEUE_PARTS = 4, MESSAGES_MIN = 1000 };
    const uint64_t fetch_min = UINT64_C(1) << 20, fetch_max = UINT64_C(8) << 20;
    struct kafka_prefetch out = {.fetch_bytes = memory_bytes / FETCH_PARTS,
                                 .bytes = memory_bytes / QUEUE_PARTS / queues,
                                 .messages = memory_bytes / QUEUE_PARTS / queues / MESSAGE_COST};
    out.fetch_bytes = out.fetch_bytes < fetch_min ? fetch_min : out.fetch_bytes;
    out.fetch_bytes = out.fetch_bytes > fetch_max ? fetch_max : out.fetch_bytes;
    out.messages = out.messages < MESSAGES_MIN ? MESSAGES_MIN : out.messages;
    return out;
}

enum { FIXED_MAX = 16 };

/* `more` stands behind what is fixed for all. */
static strid_status make(const char *brokers, const char *client,
                         const struct kafka_source_options *options,
                         const struct kafka_prefetch *prefetch, const struct kafka_setting *more,
                         rd_kafka_conf_t **out, strid_error *err)
{
    char fetch[32], kbytes[32], messages[32];
    (void)snprintf(fetch, sizeof fetch, "%" PRIu64, prefetch->fetch_bytes);
    (void)snprintf(kbytes, sizeof kbytes, "%" PRIu64, prefetch->bytes / 1024 + 1);
    (void)snprintf(messages, sizeof messages, "%" PRIu64, prefetch->messages);
    const struct kafka_setting defaults[] = {
        {"client.id", client},
        {"isolation.level", "read_committed"},
        {"fetch.wait.max.ms", "100"},
        {"fetch.max.bytes", fetch},
        {"queued.max.messages.kbytes", kbytes},
        {"queued.min.messages", messages},
        {"reconnect.backoff.max.ms", "2000"},
        {NULL, NULL},
    };
    struct kafka_setting fixed[FIXED_MAX] = {
        {"check.crcs", "true"},
        {"enable.auto.commit", "false"},
        {"auto.commit.enable", "false"},
        {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"},
        {"allow.auto.create.topics", "false"},
        {"auto.offset.reset", "error"},
        {"consume.callback.max.messages", "128"}, /* kafka_lane.h */
    };
    size_t count = 8;
    if (options->group != NULL)
        fixed[count++] = (struct kafka_setting){"group.id", options->group};
    for (; more->name != NULL && count + 1 < FIXED_MAX; more++)
        fixed[count++] = *more;
    return kafka_config_make(brokers, defaults, options->properties, fixed, out, err);
}

strid_status kafka_source_config_make(const char *brokers, const char *client,
                                      const struct kafka_source_options *options,
                                      const struct kafka_prefetch *prefetch, rd_kafka_conf_t **out,
                                      strid_error *err)
{
    static const struct kafka_setting none[] = {{NULL, NULL}};
    STRID_TRY(make(brokers, client, options, prefetch, none, out, err));
    rd_kafka_conf_set_events(*out, RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_OFFSET_COMMIT);
    return STRID_OK;
}

strid_status kafka_source_config_make_probe(const char *brokers,
                                            const struct kafka_source_options *options,
                                            const struct kafka_prefetch *prefetch,
                                            rd_kafka_conf_t **out, strid_error *err)
{
    static const struct kafka_setting little[] = {
        {"fetch.wait.max.ms", "10"}, {"fetch.message.max.bytes", "65536"}, {NULL, NULL}};
    return make(brokers, "strid-probe", options, prefetch, little, out, err);
}

strid_status kafka_source_config_make_member(const char *brokers, const char *client,
                                             const struct kafka_source_options *options,
                                             const struct kafka_prefetch *prefetch,
                                             rd_kafka_conf_t **out, strid_error *err)
{
    static const struct kafka_setting none[] = {{NULL, NULL}};
    STRID_TRY(make(brokers, client, options, prefetch, none, out, err));
    rd_kafka_conf_set_events(*out, RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_OFFSET_COMMIT |
                                       RD_KAFKA_EVENT_REBALANCE);
    return STRID_OK;
}

/* How brokers are reached holds for writing, too; how much is fetched does not. */
static bool is_about_reaching(const char *name)
{
    static const char *const prefixes[] = {"security.", "sasl.",   "ssl.",       "broker.",
                                           "socket.",   "client.", "enable.ssl."};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static void put_escaped(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (isalnum((unsigned char)*text) || strchr("-._~/:", *text) != NULL)
            buffer_put_u8(out, (uint8_t)*text);
        else
            buffer_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

strid_status kafka_source_config_dlq(const char *brokers, const char *topics,
                                     const struct kafka_source_options *options, char *out,
                                     size_t size)
{
    struct buffer url = {0};
    buffer_printf(&url, "kafka://%s/{topic}" KAFKA_DLQ_SUFFIX "?topics=", brokers);
    put_escaped(&url, topics);
    /* What the topics hold has to fit, whatever their limit is: the brokers know that of the queue.
     */
    buffer_printf(&url, "&kafka.message.max.bytes=%d", LETTER_BYTES_MAX);
    for (const strid_property *at = options->properties; at != NULL; at = at->next) {
        if (!is_about_reaching(at->name))
            continue;
        buffer_printf(&url, "&kafka.%s=", at->name);
        put_escaped(&url, at->value);
    }
    buffer_put_u8(&url, '\0');
    bool fits = url.len <= size;
    if (fits)
        memcpy(out, url.data, url.len);
    buffer_fini(&url);
    return fits ? STRID_OK : STRID_ELIMIT;
}
