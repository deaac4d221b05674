/* Suite kafka_member: a source whose group gives and takes its partition, as the engine sees it.
 * The cluster is librdkafka's own, in this process, and the test is the engine: it polls, says what
 * is durable, and begins runs. */
#include <criterion/criterion.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "conformance/connector_case.h"

enum {
    LIST_OFFSETS = 2, /* as Kafka's protocol numbers it */
    RECORDS = 10,
    DURABLE = 4,
    BROKER = 1,
    REFUSALS = 200,
    DEADLINE_MS = 60000
};

static struct {
    rd_kafka_t *producer; /* whose the cluster is, too */
    rd_kafka_mock_cluster_t *cluster;
    struct log log;
    struct opened_source source;
    struct strid_intake intake;
    strid_error err;
    _Atomic int late;     /* times that partitions went on before all was done */
    _Atomic int read;     /* times that it said that it reads the partition */
    _Atomic int refused;  /* times that brokers did not say where one begins */
    rd_kafka_t *other;    /* another member */
    int assigned;         /* times that it was told its share */
    uint64_t wanted_next; /* of wait conditions */
} at;

static void take_line(void *user, strid_log_level level, const char *logger, const char *message)
{
    (void)user;
    (void)level;
    (void)logger;
    if (strstr(message, "(hand_over)") != NULL)
        atomic_fetch_add_explicit(&at.late, 1, memory_order_release);
    if (strstr(message, "reads 1 of 1") != NULL)
        atomic_fetch_add_explicit(&at.read, 1, memory_order_release);
    if (strstr(message, "asked again") != NULL)
        atomic_fetch_add_explicit(&at.refused, 1, memory_order_release);
}

static rd_kafka_conf_t *conf_of(const char *const *properties)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; *properties != NULL; properties += 2)
        cr_assert_eq(rd_kafka_conf_set(conf, properties[0], properties[1], why, sizeof why),
                     RD_KAFKA_CONF_OK, "%s", why);
    return conf;
}

static void produce(int count)
{
    for (int i = 0; i < count; i++)
        cr_assert_eq(rd_kafka_producev(at.producer, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_PARTITION(0),
                                       RD_KAFKA_V_VALUE("v", 1), RD_KAFKA_V_END),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(rd_kafka_flush(at.producer, DEADLINE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void begin(void)
{
    static const char *const none[] = {NULL};
    char why[256], url[512];
    rd_kafka_conf_t *conf = conf_of(none);
    cr_assert_eq(rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", why, sizeof why),
                 RD_KAFKA_CONF_OK, "%s", why);
    at.producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cr_assert_not_null(at.producer, "%s", why);
    at.cluster = rd_kafka_handle_mock_cluster(at.producer);
    cr_assert_eq(rd_kafka_mock_topic_create(at.cluster, "t", 1, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    produce(RECORDS);
    log_init(&at.log, take_line, NULL);
    (void)snprintf(url, sizeof url,
                   "kafka://%s/t?group=g&assign=group&hand_over=2s&commit_interval=20ms"
                   "&kafka.heartbeat.interval.ms=100&kafka.session.timeout.ms=3000",
                   rd_kafka_mock_cluster_bootstraps(at.cluster));
    STRID_CHECK_OK(source_open_logged(&at.source, url, &at.log, 0, &at.err), at.err);
    cr_assert_eq(at.source.ops->partition_count(at.source.self), 1u);
}

static void end(void)
{
    if (at.other != NULL)
        rd_kafka_destroy(at.other);
    source_close(&at.source);
    intake_fini(&at.intake);
    rd_kafka_destroy(at.producer);
    log_fini(&at.log);
}

TestSuite(kafka_member, .init = begin, .fini = end, .timeout = 110);

/* A run begins, of an engine that has made everything before `low` durable; 0: nothing. */
static void begin_run(uint64_t low)
{
    const strid_resume resume = {.resumed = low > 0, .position = {0, low}, .fresh = low == 0};
    intake_clear(&at.intake);
    STRID_CHECK_OK(at.source.ops->assign_all(at.source.self, &resume, &at.err), at.err);
}

static bool has_read(void *user)
{
    (void)user;
    strid_status status = at.source.ops->poll(at.source.self, 0, &at.intake, 16, &at.err);
    cr_assert(status >= 0, "%s", at.err.message);
    for (size_t i = 1; i < at.intake.count; i++)
        cr_assert_eq(at.intake.records[i].position.low, at.intake.records[i - 1].next.low);
    return at.intake.count > 0 && at.intake.records[at.intake.count - 1].next.low >= at.wanted_next;
}

static void read_to(uint64_t next)
{
    at.wanted_next = next;
    cr_assert(support_wait(has_read, NULL, DEADLINE_MS), "no record %llu",
              (unsigned long long)next - 1);
}

static void say_durable(uint64_t low)
{
    STRID_CHECK_OK(at.source.ops->ack(at.source.self, 0, (strid_position){0, low}, &at.err),
                   at.err);
}

static bool is_told(void *user)
{
    (void)user;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(list, "t", 0);
    bool told = rd_kafka_committed(at.other, list, DEADLINE_MS) == RD_KAFKA_RESP_ERR_NO_ERROR &&
                list->elems[0].offset == (int64_t)at.wanted_next;
    rd_kafka_topic_partition_list_destroy(list);
    return told;
}

static void note_share(rd_kafka_t *client, rd_kafka_resp_err_t code,
                       rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    (void)opaque;
    bool takes = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    (void)partitions;
    (void)rd_kafka_assign(client, NULL); /* it reads nothing */
    at.assigned += takes;
}

static void make_other(void)
{
    char why[256];
    const char *const properties[] = {"bootstrap.servers",
                                      rd_kafka_mock_cluster_bootstraps(at.cluster),
                                      "group.id",
                                      "g",
                                      "heartbeat.interval.ms",
                                      "100",
                                      "session.timeout.ms",
                                      "3000",
                                      "enable.auto.commit",
                                      "false",
                                      NULL};
    rd_kafka_conf_t *conf = conf_of(properties);
    rd_kafka_conf_set_rebalance_cb(conf, note_share);
    at.other = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    cr_assert_not_null(at.other, "%s", why);
    at.assigned = 0;
}

static bool has_share(void *user)
{
    (void)user;
    rd_kafka_message_t *message = rd_kafka_consumer_poll(at.other, 0);
    if (message != NULL)
        rd_kafka_message_destroy(message);
    return at.assigned > 0;
}

/* The source gives all up for that, and is told anew what it is to read. */
static void other_joins(void)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    (void)rd_kafka_topic_partition_list_add(list, "t", RD_KAFKA_PARTITION_UA);
    cr_assert_eq(rd_kafka_subscribe(at.other, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    cr_assert(support_wait(has_share, NULL, DEADLINE_MS), "the other member has no share");
}

static void other_leaves(void)
{
    (void)rd_kafka_consumer_close(at.other);
    rd_kafka_destroy(at.other);
    at.other = NULL;
}

/* All records are in hand, some of them durable, and the group has been told of those. */
static void have_all_in_hand(void)
{
    begin_run(0);
    read_to(RECORDS);
    say_durable(DURABLE);
    make_other();
    at.wanted_next = DURABLE;
    cr_assert(support_wait(is_told, NULL, DEADLINE_MS), "the group was not told");
}

/* Nobody else has done what was in hand: the next run is given it, though the partition went and
 * came back before the store failed. */
Test(kafka_member, what_was_in_hand_as_a_partition_came_back_is_read_by_the_next_run)
{
    have_all_in_hand();
    other_joins();
    other_leaves();
    produce(1);
    read_to(RECORDS + 1);
    cr_assert_eq(at.intake.count, RECORDS + 1u, "this run is given nothing twice");
    begin_run(DURABLE);
    read_to(RECORDS + 1);
    cr_assert_eq(at.intake.records[0].position.low, DURABLE);
    cr_assert_eq(at.intake.count, RECORDS + 1u - DURABLE);
}

static bool is_back(void *user)
{
    (void)user;
    return atomic_load_explicit(&at.read, memory_order_acquire) > 0;
}

/* What this run has of it is not done only because nothing was read since it came back. */
Test(kafka_member, what_was_in_hand_as_a_partition_came_back_is_waited_for_as_it_goes)
{
    have_all_in_hand();
    other_joins();
    cr_assert(atomic_load(&at.late) >= 1, "what was in hand went on undone");
    at.read = 0;
    other_leaves();
    cr_assert(support_wait(is_back, NULL, DEADLINE_MS), "the partition did not come back");
    make_other();
    other_joins();
    cr_assert(atomic_load(&at.late) >= 2, "it still was in hand");
}

static bool is_refused(void *user)
{
    (void)user;
    return atomic_load_explicit(&at.refused, memory_order_acquire) > 0;
}

/* Of a partition that comes while brokers do not say where it begins nothing is read, and nothing
 * told: when it goes again it does not wait for that. */
Test(kafka_member, what_nobody_tells_does_not_hold_a_partition_back)
{
    have_all_in_hand();
    for (int i = 0; i < REFUSALS; i++)
        cr_assert_eq(rd_kafka_mock_broker_push_request_error_rtts(
                         at.cluster, BROKER, LIST_OFFSETS, 1,
                         RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 0),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    other_joins();
    cr_assert_eq(atomic_load(&at.late), 1, "what was in hand went on undone");
    say_durable(RECORDS); /* too late for the group */
    other_leaves();
    cr_assert(support_wait(is_refused, NULL, DEADLINE_MS), "the partition did not come back");
    make_other();
    other_joins();
    cr_assert_eq(atomic_load(&at.late), 1, "nothing was in hand then");
}
