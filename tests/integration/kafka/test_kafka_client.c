/* Suite kafka_client: what is said of brokers that do not answer. */
#include <criterion/criterion.h>

#include <stdatomic.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/log.h"
#include "connectors/kafka/kafka_client.h"
#include "support/support.h"

enum { BROKER = 1, DEADLINE_MS = 60000, FAR_MS = 3600000 };

static _Atomic bool was_refused;

static void take_line(void *user, strid_log_level level, const char *logger, const char *message)
{
    (void)user;
    (void)level;
    (void)logger;
    if (strstr(message, "Connection refused") != NULL)
        atomic_store_explicit(&was_refused, true, memory_order_release);
}

static bool is_refused(void *user)
{
    (void)user;
    return atomic_load_explicit(&was_refused, memory_order_acquire);
}

static strid_status ask(rd_kafka_t *client, strid_error *err)
{
    const rd_kafka_metadata_t *metadata = NULL;
    strid_status status = kafka_client_metadata(client, "brokers", NULL, &metadata, err);
    if (status == STRID_OK)
        rd_kafka_metadata_destroy(metadata);
    return status;
}

Test(kafka_client, a_reason_that_has_passed_is_not_given_again, .timeout = 110)
{
    char why[256];
    struct log log;
    rd_kafka_t *client = NULL;
    strid_error err = STRID_ERROR_INIT;
    log_init(&log, take_line, NULL);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    cr_assert_eq(rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", why, sizeof why),
                 RD_KAFKA_CONF_OK, "%s", why);
    STRID_CHECK_OK(kafka_client_create(RD_KAFKA_CONSUMER, conf, &log, &client, &err), err);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_handle_mock_cluster(client);
    STRID_CHECK_OK(ask(client, &err), err);
    cr_assert_eq(rd_kafka_mock_broker_set_down(cluster, BROKER), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert(support_wait(is_refused, NULL, DEADLINE_MS));
    cr_assert_eq(rd_kafka_mock_broker_set_up(cluster, BROKER), RD_KAFKA_RESP_ERR_NO_ERROR);
    STRID_CHECK_OK(ask(client, &err), err);
    cr_assert_eq(rd_kafka_mock_broker_set_rtt(cluster, BROKER, FAR_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(ask(client, &err), STRID_EUNREACHABLE);
    cr_assert_null(strstr(err.message, "Connection refused"), "%s", err.message);
    kafka_client_destroy(client);
    log_fini(&log);
}
