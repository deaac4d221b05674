#include "kafka_client.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define COMPONENT "kafka"

enum {
    METADATA_TIMEOUT_MS = 15000,
    BARRED_MS = 3000, /* a broker that refuses a login will not take it later */
    FIRST_WAIT_MS = 1000,
    AGAIN_MS = 200,
    TRIES = 75,
    WHY_MAX = 320,
    SCRAM_VERSION = 0x020601ff,
    SYSLOG_WARNING = 4,
    SYSLOG_ERROR = 3,
    SYSLOG_DEBUG = 7
};

/* The opaque of a handle: what became of its connections, as librdkafka said it since they
 * last answered. */
struct watch {
    const struct log *log; /* may be NULL */
    pthread_mutex_t lock;  /* guards `why`: librdkafka's threads write it, the owner reads it */
    char why[WHY_MAX];     /* empty: nothing failed since */
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

/* "[thrd:NAME]: BROKER/ID: what (after 5ms in state X)" without its ends. */
static void note_failure(struct watch *watch, const char *text)
{
    const char *begin = *text == '[' ? strstr(text, "]: ") : NULL;
    begin = begin == NULL ? text : begin + 3;
    const char *end = strstr(begin, " (after ");
    size_t len = end == NULL ? strlen(begin) : (size_t)(end - begin);
    len = len < sizeof watch->why ? len : sizeof watch->why - 1;
    pthread_mutex_lock(&watch->lock);
    memcpy(watch->why, begin, len);
    watch->why[len] = '\0';
    pthread_mutex_unlock(&watch->lock);
}

/* librdkafka's lines do not hold passwords; its dump of the configuration (kafka.debug: conf) holds
 * some that it does not know as such. */
static void write_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    struct watch *watch = rd_kafka_opaque(client);
    if (strcmp(facility, "FAIL") == 0 && level <= SYSLOG_ERROR)
        note_failure(watch, text);
    if (watch->log == NULL || strstr(text, "property auto.commit.enable is deprecated") != NULL)
        return; /* the one that turns off what a simple consumer would do by itself */
    if (level == SYSLOG_DEBUG && strcmp(facility, "CONF") == 0)
        return;
    if (rd_kafka_type(client) == RD_KAFKA_CONSUMER && strstr(text, "topic does not exist") != NULL)
        level = SYSLOG_DEBUG; /* each second, for ever; the source says it once */
    if (level <= SYSLOG_ERROR)
        log_error(watch->log, COMPONENT, "%s: %s", facility, text);
    else if (level <= SYSLOG_WARNING)
        log_warn(watch->log, COMPONENT, "%s: %s", facility, text);
    else
        log_debug(watch->log, COMPONENT, "%s: %s", facility, text);
}

static void destroy_watch(struct watch *watch)
{
    (void)pthread_mutex_destroy(&watch->lock);
    memory_free(watch);
}

strid_status kafka_client_create(rd_kafka_type_t type, rd_kafka_conf_t *conf, const struct log *log,
                                 rd_kafka_t **out, strid_error *err)
{
    char why[256];
    struct watch *watch = memory_alloc_zeroed(sizeof *watch);
    watch->log = log;
    (void)pthread_mutex_init(&watch->lock, NULL);
    rd_kafka_conf_set_log_cb(conf, write_log);
    rd_kafka_conf_set_opaque(conf, watch);
    *out = rd_kafka_new(type, conf, why, sizeof why);
    if (*out != NULL)
        return STRID_OK;
    rd_kafka_conf_destroy(conf);
    destroy_watch(watch);
    return error_set(err, STRID_ECONFIG, COMPONENT, "no client of Kafka: librdkafka %s says: %s",
                     rd_kafka_version_str(), why);
}

void kafka_client_destroy(rd_kafka_t *client)
{
    struct watch *watch = rd_kafka_opaque(client);
    rd_kafka_destroy(client); /* its threads, which write the log, have ended then */
    destroy_watch(watch);
}

static const char *advice_for(const char *why)
{
    /* Before 2.6.1 it sends its nonce twice, which Kafka 3.9 lets pass and Kafka 4 does not. */
    if (strstr(why, "SCRAM") != NULL && rd_kafka_version() < SCRAM_VERSION)
        return "check kafka.sasl.username and kafka.sasl.password; librdkafka before 2.6.1 cannot "
               "log in by SCRAM to Kafka 4: take PLAIN within TLS, a client's certificate, or a "
               "later librdkafka";
    if (strstr(why, "SASL") != NULL && strstr(why, "security.protocol") == NULL)
        return "check kafka.sasl.mechanism, kafka.sasl.username and kafka.sasl.password";
    if (strstr(why, "SSL handshake failed") != NULL)
        return "check kafka.security.protocol, kafka.ssl.ca.location and, where brokers ask for "
               "one, the client's certificate";
    return "check the address and kafka.security.protocol";
}

/* Why nobody answered: a copy, as other threads write it. True: the brokers refuse this client, or
 * it refuses them. */
static bool find_reason(const rd_kafka_t *client, char *why)
{
    struct watch *watch = rd_kafka_opaque(client);
    pthread_mutex_lock(&watch->lock);
    memcpy(why, watch->why, WHY_MAX);
    pthread_mutex_unlock(&watch->lock);
    return strstr(why, "SASL authentication error") != NULL ||
           strstr(why, "mechanism handshake failed") != NULL ||
           strstr(why, "SSL handshake failed") != NULL;
}

/* They answer: what is wrong the next time is something else. */
static void forget_reason(const rd_kafka_t *client)
{
    struct watch *watch = rd_kafka_opaque(client);
    pthread_mutex_lock(&watch->lock);
    watch->why[0] = '\0';
    pthread_mutex_unlock(&watch->lock);
}

static strid_status explain(const char *brokers, const char *why, bool barred,
                            rd_kafka_resp_err_t code, strid_error *err)
{
    strid_status status =
        barred
            ? error_set(err, STRID_ECONFIG, COMPONENT, "the brokers %s were reached, but: %s; %s",
                        brokers, why, advice_for(why))
            : error_set(err, STRID_EUNREACHABLE, COMPONENT,
                        "no answer from the brokers %s within %d s: %s%s%s; %s", brokers,
                        METADATA_TIMEOUT_MS / 1000, rd_kafka_err2str(code),
                        *why == '\0' ? "" : ": ", why, advice_for(why));
    if (err != NULL)
        err->native_code = code;
    return status;
}

strid_status kafka_client_metadata(rd_kafka_t *client, const char *brokers, rd_kafka_topic_t *topic,
                                   const rd_kafka_metadata_t **out, strid_error *err)
{
    static const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000};
    const int64_t begun_ns = clock_monotonic_ns(&clock_system);
    int64_t waited_ms = 0;
    char why[WHY_MAX];
    /* Waits that double: what answers slowly is not asked for ever anew. */
    for (int64_t wait_ms = FIRST_WAIT_MS;; wait_ms *= 2) {
        int64_t left_ms = METADATA_TIMEOUT_MS - waited_ms;
        rd_kafka_resp_err_t code = rd_kafka_metadata(client, topic == NULL, topic, out,
                                                     (int)(wait_ms < left_ms ? wait_ms : left_ms));
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            forget_reason(client);
            return STRID_OK;
        }
        waited_ms = (clock_monotonic_ns(&clock_system) - begun_ns) / 1000000;
        bool barred = find_reason(client, why);
        bool silent = code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT;
        if (!silent || waited_ms + AGAIN_MS >= (barred ? BARRED_MS : METADATA_TIMEOUT_MS))
            return explain(brokers, why, barred, code, err);
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        waited_ms += AGAIN_MS;
    }
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
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_UNKNOWN: /* a broker that knows no better word */
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT:
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
