#include "kafka_client.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#include <string.h>
#include <time.h>

#define COMPONENT "kafka"

enum {
    METADATA_TIMEOUT_MS = 15000,
    AGAIN_MS = 200,
    TRIES = 75,
    SYSLOG_WARNING = 4,
    SYSLOG_ERROR = 3,
    SYSLOG_DEBUG = 7
};

static char *copy(const char *text, size_t len)
{
    char *out = memory_alloc(len + 1);
    memcpy(out, text, len);
    out[len] = '\0';
    return out;
}

strid_status kafka_target_parse(const char *target, struct kafka_target *out, strid_error *err)
{
    *out = (struct kafka_target){0};
    const char *brokers = strncmp(target, "//", 2) == 0 ? target + 2 : NULL;
    const char *slash = brokers == NULL ? NULL : strchr(brokers, '/');
    if (slash == NULL || slash == brokers || slash[1] == '\0')
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "expected kafka://BROKER:PORT,.../TOPIC as the URL");
    if (memchr(brokers, '@', (size_t)(slash - brokers)) != NULL)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "users do not stand in the URL of Kafka: give kafka.sasl.username and "
                         "kafka.sasl.password");
    out->brokers = copy(brokers, (size_t)(slash - brokers));
    out->topic = memory_copy_text(slash + 1);
    return STRID_OK;
}

void kafka_target_fini(struct kafka_target *target)
{
    memory_free(target->brokers);
    memory_free(target->topic);
    *target = (struct kafka_target){0};
}

/* librdkafka's lines do not hold passwords; its dump of the configuration would. */
static void write_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    const struct log *log = rd_kafka_opaque(client);
    if (log == NULL || strstr(text, "property auto.commit.enable is deprecated") != NULL)
        return; /* the one that turns off what a simple consumer would do by itself */
    if (rd_kafka_type(client) == RD_KAFKA_CONSUMER && strstr(text, "topic does not exist") != NULL)
        level = SYSLOG_DEBUG; /* each second, for ever; the source says it once */
    if (level <= SYSLOG_ERROR)
        log_error(log, COMPONENT, "%s: %s", facility, text);
    else if (level <= SYSLOG_WARNING)
        log_warn(log, COMPONENT, "%s: %s", facility, text);
    else
        log_debug(log, COMPONENT, "%s: %s", facility, text);
}

strid_status kafka_client_create(rd_kafka_type_t type, rd_kafka_conf_t *conf, const struct log *log,
                                 rd_kafka_t **out, strid_error *err)
{
    char why[256];
    rd_kafka_conf_set_log_cb(conf, write_log);
    rd_kafka_conf_set_opaque(conf, (void *)(uintptr_t)log);
    *out = rd_kafka_new(type, conf, why, sizeof why);
    if (*out != NULL)
        return STRID_OK;
    rd_kafka_conf_destroy(conf);
    return error_set(err, STRID_ECONFIG, COMPONENT, "no client of Kafka: librdkafka %s says: %s",
                     rd_kafka_version_str(), why);
}

strid_status kafka_client_metadata(rd_kafka_t *client, const char *brokers, rd_kafka_topic_t *topic,
                                   const rd_kafka_metadata_t **out, strid_error *err)
{
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(client, topic == NULL, topic, out, METADATA_TIMEOUT_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STRID_OK;
    return error_set(err, STRID_EUNREACHABLE, COMPONENT,
                     "no answer from the brokers %s within %d s: %s; check the address and "
                     "kafka.security.protocol",
                     brokers, METADATA_TIMEOUT_MS / 1000, rd_kafka_err2str(code));
}

bool kafka_client_try_again(rd_kafka_resp_err_t code, int *tries)
{
    static const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000};
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
        if (++*tries > TRIES)
            return false;
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        return true;
    default:
        return false;
    }
}
