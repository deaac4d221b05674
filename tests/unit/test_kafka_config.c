/* Suite kafka_config: what users may set of librdkafka, and what stays whatever they set. */
#include <criterion/criterion.h>

#include <string.h>

#include "connectors/kafka/kafka_config.h"
#include "connectors/kafka/kafka_source_config.h"

static void check_set(const rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char found[64] = "";
    size_t size = sizeof found;
    cr_assert_eq(rd_kafka_conf_get(conf, name, found, &size), RD_KAFKA_CONF_OK, "%s", name);
    cr_assert_str_eq(found, value, "%s: %s", name, found);
}

Test(kafka_config, what_loads_code_or_gives_up_a_promise_is_denied)
{
    static const char *const denied[] = {"plugin.library.paths",
                                         "interceptors",
                                         "sasl.kerberos.kinit.cmd",
                                         "ssl.engine.location",
                                         "ssl.providers",
                                         "test.mock.num.brokers",
                                         "enable.sasl.oauthbearer.unsecure.jwt",
                                         "enable.auto.commit",
                                         "auto.commit.interval.ms",
                                         "auto.commit.enable",
                                         "enable.auto.offset.store",
                                         "auto.offset.reset",
                                         "enable.partition.eof",
                                         "consume.callback.max.messages",
                                         "group.id",
                                         "bootstrap.servers",
                                         "metadata.broker.list",
                                         "enable.idempotence",
                                         "request.required.acks",
                                         "acks",
                                         "transactional.id",
                                         "delivery.report.only.error",
                                         "partitioner",
                                         "queue.buffering.max.kbytes"};
    for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++) {
        strid_error err = STRID_ERROR_INIT;
        cr_assert_eq(kafka_config_check(denied[i], "1", &err), STRID_ECONFIG, "%s", denied[i]);
        cr_assert_not_null(strstr(err.message, "cannot be set: "), "%s", err.message);
    }
}

Test(kafka_config, others_go_to_librdkafka_and_its_words_come_back)
{
    strid_error err = STRID_ERROR_INIT;
    cr_assert_eq(kafka_config_check("linger.ms", "7", &err), STRID_OK);
    cr_assert_eq(kafka_config_check("group.instance.id", "a", &err), STRID_OK);
    cr_assert_eq(kafka_config_check("partition.assignment.strategy", "range", &err), STRID_OK);
    cr_assert_eq(kafka_config_check("linger.ms", "soon", &err), STRID_ECONFIG);
    cr_assert_not_null(strstr(err.message, "\"kafka.linger.ms\": librdkafka "), "%s", err.message);
    cr_assert_eq(kafka_config_check("no.such", "7", &err), STRID_ECONFIG);
}

/* The list is where users learn of it; that it holds is not left to the list. */
Test(kafka_config, a_producer_waits_for_all_replicas_whatever_is_set)
{
    strid_property acks = {.name = (char *)"acks", .value = (char *)"1"};
    strid_property twice = {
        .next = &acks, .name = (char *)"enable.idempotence", .value = (char *)"false"};
    strid_property linger = {.next = &twice, .name = (char *)"linger.ms", .value = (char *)"9"};
    const struct kafka_sink_options options = {.buffer = 3 << 20, .properties = &linger};
    rd_kafka_conf_t *conf = NULL;
    strid_error err = STRID_ERROR_INIT;
    cr_assert_eq(kafka_config_make_producer("h:1", &options, &conf, &err), STRID_OK);
    check_set(conf, "bootstrap.servers", "h:1");
    check_set(conf, "enable.idempotence", "true");
    check_set(conf, "acks", "-1");
    check_set(conf, "partitioner", "murmur2_random");
    check_set(conf, "queue.buffering.max.kbytes", "3072");
    check_set(conf, "linger.ms", "9");
    rd_kafka_conf_destroy(conf);
}

Test(kafka_config, a_source_commits_nothing_by_itself_and_resets_nothing)
{
    strid_property commit = {.name = (char *)"enable.auto.commit", .value = (char *)"true"};
    strid_property reset = {
        .next = &commit, .name = (char *)"auto.offset.reset", .value = (char *)"latest"};
    strid_property sums = {.next = &reset, .name = (char *)"check.crcs", .value = (char *)"false"};
    const struct kafka_source_options options = {.group = "g", .properties = &sums};
    const struct kafka_prefetch prefetch = {
        .fetch_bytes = 1 << 20, .bytes = 5 << 20, .messages = 8};
    rd_kafka_conf_t *conf = NULL;
    strid_error err = STRID_ERROR_INIT;
    cr_assert_eq(kafka_source_config_make("h:1", "c", &options, &prefetch, &conf, &err), STRID_OK);
    check_set(conf, "enable.auto.commit", "false");
    check_set(conf, "auto.commit.enable", "false");
    check_set(conf, "enable.auto.offset.store", "false");
    check_set(conf, "auto.offset.reset", "error");
    check_set(conf, "check.crcs", "true");
    check_set(conf, "isolation.level", "read_committed");
    check_set(conf, "allow.auto.create.topics", "false");
    check_set(conf, "group.id", "g");
    check_set(conf, "fetch.max.bytes", "1048576");
    check_set(conf, "queued.max.messages.kbytes", "5121");
    check_set(conf, "queued.min.messages", "8");
    rd_kafka_conf_destroy(conf);
}
