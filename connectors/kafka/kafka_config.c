#include "kafka_config.h"

#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COMPONENT "kafka"

static const char *const partitioner_words[] = {"murmur2_random", "murmur2", "consistent_random",
                                                "fnv1a_random",   "random",  NULL};

const char *kafka_config_partitioner(int32_t index) { return partitioner_words[index]; }

const strid_option kafka_sink_config[] = {
    {
        .name = "partitioner",
        .type = STRID_OPTION_ENUM,
        .fallback = "murmur2_random",
        .choices = partitioner_words,
        .offset = offsetof(struct kafka_sink_options, partitioner),
        .doc = "How a key chooses its partition. The default is what Java producers do.",
    },
    {
        .name = "buffer",
        .type = STRID_OPTION_SIZE,
        .fallback = "32MiB",
        .min = INT64_C(1) << 20,
        .max = INT64_C(1) << 40,
        .offset = offsetof(struct kafka_sink_options, buffer),
        .doc = "How much may be on its way to the brokers; writing waits beyond it.",
    },
    {
        .name = "topics",
        .type = STRID_OPTION_STRING,
        .offset = offsetof(struct kafka_sink_options, topics),
        .doc = "Of dead letters, when they are listed: what {topic} in the name stands for, as a "
               "source names its topics; any if not given.",
    },
    {
        .name = "kafka.",
        .type = STRID_OPTION_PROPERTIES,
        .offset = offsetof(struct kafka_sink_options, properties),
        .flags = STRID_OPTION_SECRET,
        .doc = "A property of librdkafka, such as kafka.compression.type or "
               "kafka.sasl.password. Some are denied, with the reason.",
        .check = kafka_config_check,
    },
    {0},
};

struct denial {
    const char *prefix; /* of the property's name */
    const char *reason;
};

static const struct denial denials[] = {
    {"plugin.library.paths", "it loads code into the process"},
    {"interceptors", "it loads code into the process"},
    {"sasl.kerberos.kinit.cmd", "it runs a shell command"},
    {"ssl.engine.location", "it loads code into the process"},
    {"ssl.providers", "it loads code into the process"},
    {"test.mock.", "it replaces the brokers by a toy"},
    {"enable.sasl.oauthbearer.unsecure.jwt", "it turns authentication off"},
    {"enable.auto.commit", "progress is acknowledged once it is durable, not before"},
    {"auto.commit.", "progress is acknowledged once it is durable, not before"},
    {"enable.auto.offset.store", "progress is acknowledged once it is durable, not before"},
    {"auto.offset.reset",
     "use `start`; a lost position stops the partition instead of losing data"},
    {"enable.partition.eof", "the connector sets it"},
    {"consume.callback.max.messages", "the connector sets it"},
    {"group.id", "use `group`"},
    {"bootstrap.servers", "name the brokers in the URL"},
    {"metadata.broker.list", "name the brokers in the URL"},
    {"enable.idempotence", "repeats and reordering on the way are not an option"},
    {"request.required.acks", "an output counts once all replicas in sync have it"},
    {"acks", "an output counts once all replicas in sync have it"},
    {"transactional.id", "outputs are not transactional"},
    {"delivery.report.only.error", "each delivery is counted"},
    {"partitioner", "use `partitioner`"},
    {"queue.buffering.max.kbytes", "use `buffer`"},
};

static const char *denied(const char *name)
{
    for (size_t i = 0; i < sizeof denials / sizeof denials[0]; i++) {
        const char *prefix = denials[i].prefix;
        size_t len = strlen(prefix);
        if (strncmp(name, prefix, len) == 0 && (name[len] == '\0' || prefix[len - 1] == '.'))
            return denials[i].reason;
    }
    return NULL;
}

static strid_status set(rd_kafka_conf_t *conf, const char *name, const char *value,
                        strid_error *err)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return STRID_OK;
    return error_set(err, STRID_ECONFIG, COMPONENT, "\"kafka.%s\": librdkafka %s says: %s", name,
                     rd_kafka_version_str(), why);
}

strid_status kafka_config_check(const char *name, const char *value, strid_error *err)
{
    const char *reason = denied(name);
    if (reason != NULL)
        return error_set(err, STRID_ECONFIG, COMPONENT, "\"kafka.%s\" cannot be set: %s", name,
                         reason);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    strid_status status = set(conf, name, value, err);
    rd_kafka_conf_destroy(conf);
    return status;
}

static strid_status set_all(rd_kafka_conf_t *conf, const struct kafka_setting *settings,
                            strid_error *err)
{
    for (; settings->name != NULL; settings++)
        STRID_TRY(set(conf, settings->name, settings->value, err));
    return STRID_OK;
}

/* Latency and dead connections matter more than small packets and a quiet network. */
static const struct kafka_setting common[] = {
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    {"statistics.interval.ms", "0"},
    {NULL, NULL},
};

strid_status kafka_config_make(const char *brokers, const struct kafka_setting *defaults,
                               const strid_property *properties, const struct kafka_setting *fixed,
                               rd_kafka_conf_t **out, strid_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    strid_status status = set_all(conf, common, err);
    if (status == STRID_OK)
        status = set_all(conf, defaults, err);
    for (; status == STRID_OK && properties != NULL; properties = properties->next)
        status = set(conf, properties->name, properties->value, err);
    if (status == STRID_OK)
        status = set_all(conf, fixed, err);
    if (status == STRID_OK)
        status = set(conf, "bootstrap.servers", brokers, err);
    if (status != STRID_OK)
        rd_kafka_conf_destroy(conf);
    else
        *out = conf;
    return status;
}

strid_status kafka_config_make_producer(const char *brokers,
                                        const struct kafka_sink_options *options,
                                        rd_kafka_conf_t **out, strid_error *err)
{
    char kbytes[32];
    (void)snprintf(kbytes, sizeof kbytes, "%" PRIu64, options->buffer / 1024);
    const struct kafka_setting defaults[] = {
        {"linger.ms", "5"},
        {"queue.buffering.max.messages", "1000000"},
        {"message.max.bytes", "1048588"}, /* what brokers take unless told otherwise */
        {NULL, NULL}};
    const struct kafka_setting fixed[] = {
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"partitioner", kafka_config_partitioner(options->partitioner)},
        {"queue.buffering.max.kbytes", kbytes},
        {NULL, NULL},
    };
    return kafka_config_make(brokers, defaults, options->properties, fixed, out, err);
}
