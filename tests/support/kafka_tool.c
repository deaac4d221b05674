/* What tests ask of a Kafka broker, without a JVM for each question:
 *
 *   kafka_tool BROKERS create TOPIC PARTITIONS [NAME=VALUE...]
 *   kafka_tool BROKERS delete TOPIC         kafka_tool BROKERS grow TOPIC PARTITIONS
 *   kafka_tool BROKERS trim TOPIC PARTITION OFFSET       deletes the records before OFFSET
 *   kafka_tool BROKERS extents TOPIC        prints "partition low high" for each
 *   kafka_tool BROKERS committed GROUP TOPIC             prints "partition offset" for each
 *   kafka_tool BROKERS tell GROUP TOPIC PARTITION OFFSET commits that, wherever the log ends
 *   kafka_tool BROKERS read TOPIC           prints "partition offset key value" up to the ends
 *   kafka_tool BROKERS produce TOPIC        lines "partition key value name=value...", with tabs
 *   kafka_tool BROKERS commit TOPIC         the same in one transaction that is committed
 *   kafka_tool BROKERS abort TOPIC          or aborted
 *
 * NULL stands for an absent key, value or value of a header; partition -1 lets the key choose. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

enum { WAIT_MS = 60000, AGAIN_MS = 20, ERROR_MAX = 512 };

static void fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "kafka_tool: %s: %s\n", what, why);
    exit(1);
}

/* What became of what was produced. One thread: reports come within flush and produce. */
static struct {
    uint64_t sent, delivered;
    char why[ERROR_MAX]; /* of the first that was not delivered */
} produced;

/* librdkafka gives up where a broker answers that it lost its own connection, as kafka_mock may be
 * told to, which has written nothing then. */
static bool send_again(rd_kafka_t *client, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = NULL;
    if (message->err != RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION)
        return false;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        headers = rd_kafka_headers_copy(headers);
    else
        headers = rd_kafka_headers_new(1);
    return rd_kafka_producev(client, RD_KAFKA_V_RKT(message->rkt),
                             RD_KAFKA_V_PARTITION(message->partition),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_KEY(message->key, message->key_len),
                             RD_KAFKA_V_VALUE(message->payload, message->len),
                             RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END) == 0;
}

static void count_report(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        produced.delivered++;
    else if (!send_again(client, message) && *produced.why == '\0')
        (void)snprintf(produced.why, sizeof produced.why, "[%" PRId32 "] %s", message->partition,
                       rd_kafka_err2str(message->err));
}

static rd_kafka_t *client_of(rd_kafka_type_t type, const char *brokers, const char *const *settings)
{
    char why[ERROR_MAX];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, count_report);
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why);
    for (; *settings != NULL; settings += 2)
        if (rd_kafka_conf_set(conf, settings[0], settings[1], why, sizeof why) != 0)
            fail(settings[0], why);
    rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof why);
    if (client == NULL)
        fail("no client", why);
    return client;
}

/* The one answer of an admin request, or the end of the program. */
static void wait_for(rd_kafka_queue_t *queue, const char *what)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    if (event == NULL)
        fail(what, "no answer");
    if (rd_kafka_event_error(event) != 0)
        fail(what, rd_kafka_event_error_string(event));
    size_t count = 0;
    const rd_kafka_topic_result_t **results = NULL;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
        results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT)
        results =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATEPARTITIONS_RESULT)
        results = rd_kafka_CreatePartitions_result_topics(
            rd_kafka_event_CreatePartitions_result(event), &count);
    for (size_t i = 0; i < count; i++)
        if (rd_kafka_topic_result_error(results[i]) != 0)
            fail(what, rd_kafka_topic_result_error_string(results[i]));
    rd_kafka_event_destroy(event);
}

static bool is_known(rd_kafka_t *client, const char *name)
{
    const rd_kafka_metadata_t *said = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    bool known = rd_kafka_metadata(client, 0, topic, &said, WAIT_MS) == 0 && said->topic_cnt == 1 &&
                 said->topics[0].err == 0;
    for (int i = 0; known && i < said->topics[0].partition_cnt; i++)
        known = said->topics[0].partitions[i].err == 0;
    if (said != NULL)
        rd_kafka_metadata_destroy(said);
    rd_kafka_topic_destroy(topic);
    return known;
}

/* A broker answers before it knows the topic itself: who asks for it at once may not find it. */
static void wait_until_known(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *name)
{
    for (int waited_ms = 0; !is_known(client, name); waited_ms += AGAIN_MS) {
        if (waited_ms >= WAIT_MS)
            fail(name, "the topic was created, but the broker does not know it");
        rd_kafka_event_t *none = rd_kafka_queue_poll(queue, AGAIN_MS);
        if (none != NULL)
            rd_kafka_event_destroy(none);
    }
}

static int create(rd_kafka_t *client, rd_kafka_queue_t *queue, int count, char **words)
{
    char why[ERROR_MAX];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(words[0], (int)strtol(words[1], NULL, 10), 1, why, sizeof why);
    if (topic == NULL)
        fail(words[0], why);
    for (int i = 2; i < count; i++) {
        char *value = strchr(words[i], '=');
        if (value == NULL)
            fail(words[i], "expected NAME=VALUE");
        *value++ = '\0';
        (void)rd_kafka_NewTopic_set_config(topic, words[i], value);
    }
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    wait_for(queue, words[0]);
    wait_until_known(client, queue, words[0]);
    rd_kafka_NewTopic_destroy(topic);
    return 0;
}

static int change(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *command, char **words)
{
    char why[ERROR_MAX];
    if (strcmp(command, "delete") == 0) {
        rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(words[0]);
        rd_kafka_DeleteTopics(client, &topic, 1, NULL, queue);
        wait_for(queue, words[0]);
        rd_kafka_DeleteTopic_destroy(topic);
    } else if (strcmp(command, "grow") == 0) {
        rd_kafka_NewPartitions_t *topic = rd_kafka_NewPartitions_new(
            words[0], (size_t)strtol(words[1], NULL, 10), why, sizeof why);
        rd_kafka_CreatePartitions(client, &topic, 1, NULL, queue);
        wait_for(queue, words[0]);
        rd_kafka_NewPartitions_destroy(topic);
    } else {
        rd_kafka_topic_partition_list_t *before = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(before, words[0], (int32_t)strtol(words[1], NULL, 10))
            ->offset = strtoll(words[2], NULL, 10);
        rd_kafka_DeleteRecords_t *records = rd_kafka_DeleteRecords_new(before);
        rd_kafka_topic_partition_list_destroy(before);
        rd_kafka_DeleteRecords(client, &records, 1, NULL, queue);
        wait_for(queue, words[0]);
        rd_kafka_DeleteRecords_destroy(records);
    }
    return 0;
}

static int partitions_of(rd_kafka_t *client, const char *name)
{
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(client, 0, topic, &metadata, WAIT_MS);
    if (code == 0)
        code = metadata->topics[0].err;
    if (code != 0)
        fail(name, rd_kafka_err2str(code));
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    return count;
}

static int print_extents(rd_kafka_t *client, const char *topic)
{
    int count = partitions_of(client, topic);
    for (int p = 0; p < count; p++) {
        int64_t low, high;
        rd_kafka_resp_err_t code =
            rd_kafka_query_watermark_offsets(client, topic, p, &low, &high, WAIT_MS);
        if (code != 0)
            fail(topic, rd_kafka_err2str(code));
        printf("%d %" PRId64 " %" PRId64 "\n", p, low, high);
    }
    return 0;
}

static int print_committed(rd_kafka_t *client, const char *topic)
{
    int count = partitions_of(client, topic);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    for (int p = 0; p < count; p++)
        (void)rd_kafka_topic_partition_list_add(list, topic, p);
    rd_kafka_resp_err_t code = rd_kafka_committed(client, list, WAIT_MS);
    if (code != 0)
        fail(topic, rd_kafka_err2str(code));
    for (int p = 0; p < count; p++)
        if (list->elems[p].offset >= 0)
            printf("%d %" PRId64 "\n", p, list->elems[p].offset);
    rd_kafka_topic_partition_list_destroy(list);
    return 0;
}

static int tell(rd_kafka_t *client, char **words)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, words[0], (int32_t)strtol(words[1], NULL, 10))->offset =
        strtoll(words[2], NULL, 10);
    rd_kafka_resp_err_t code = rd_kafka_commit(client, list, 0);
    if (code != 0)
        fail(words[0], rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(list);
    return 0;
}

/* All that is there, in the order of each partition. */
static int print_records(rd_kafka_t *client, const char *name)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    int left = partitions_of(client, name);
    for (int p = 0; p < left; p++)
        if (rd_kafka_consume_start_queue(topic, p, RD_KAFKA_OFFSET_BEGINNING, queue) != 0)
            fail(name, rd_kafka_err2str(rd_kafka_last_error()));
    while (left > 0) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, WAIT_MS);
        if (message == NULL)
            fail(name, "no answer");
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            left--;
        else if (message->err != 0)
            fail(name, rd_kafka_message_errstr(message));
        else
            printf("%" PRId32 "\t%" PRId64 "\t%.*s\t%.*s\n", message->partition, message->offset,
                   (int)message->key_len, (const char *)message->key, (int)message->len,
                   (const char *)message->payload);
        rd_kafka_message_destroy(message);
    }
    int count = partitions_of(client, name);
    for (int p = 0; p < count; p++)
        (void)rd_kafka_consume_stop(topic, p);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    return 0;
}

static const char *known(const char *word)
{
    return word == NULL || strcmp(word, "NULL") == 0 ? NULL : word;
}

static void produce_line(rd_kafka_t *client, const char *topic, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *rest = line;
    int32_t partition = (int32_t)strtol(strsep(&rest, "\t"), NULL, 10);
    const char *key = known(strsep(&rest, "\t")), *value = known(strsep(&rest, "\t"));
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    for (char *name; (name = strsep(&rest, "\t")) != NULL;) {
        char *text = name;
        (void)strsep(&text, "=");
        (void)rd_kafka_header_add(headers, name, -1, known(text), -1);
    }
    size_t key_len = key == NULL ? 0 : strlen(key), len = value == NULL ? 0 : strlen(value);
    rd_kafka_resp_err_t code = rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK),
        RD_KAFKA_V_KEY(key, key_len), RD_KAFKA_V_VALUE((void *)(uintptr_t)value, len),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (code != 0)
        fail(topic, rd_kafka_err2str(code));
    produced.sent++;
}

static void check(rd_kafka_error_t *error)
{
    if (error != NULL)
        fail("transaction", rd_kafka_error_string(error));
}

static int produce(const char *brokers, const char *command, const char *topic)
{
    /* Without idempotence a batch that the broker refused, for a topic that is still being made, is
     * written behind the next one: the topic itself would not be in the order of the lines. With
     * more than one batch under way kafka_mock, which compares no sequence numbers, would hold more
     * or less than what it reports as delivered. */
    static const char *const settings[] = {
        "enable.idempotence", "true",    "linger.ms",     "5", "partitioner", "murmur2_random",
        "message.max.bytes",  "4000000", "max.in.flight", "1", NULL};
    /* One for each topic: tests that run side by side on a broker put each other out else. */
    const char *const transactional[] = {"transactional.id", topic, NULL};
    bool in_transaction = strcmp(command, "produce") != 0;
    rd_kafka_t *client =
        client_of(RD_KAFKA_PRODUCER, brokers, in_transaction ? transactional : settings);
    char *line = NULL;
    size_t size = 0;
    if (in_transaction) {
        check(rd_kafka_init_transactions(client, WAIT_MS));
        check(rd_kafka_begin_transaction(client));
    }
    while (getline(&line, &size, stdin) > 0)
        produce_line(client, topic, line);
    free(line);
    if (rd_kafka_flush(client, WAIT_MS) != 0 || produced.delivered != produced.sent)
        fail(topic, *produced.why == '\0' ? "not all was delivered" : produced.why);
    if (strcmp(command, "commit") == 0)
        check(rd_kafka_commit_transaction(client, WAIT_MS));
    else if (in_transaction)
        check(rd_kafka_abort_transaction(client, WAIT_MS));
    rd_kafka_destroy(client);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int words;
    } commands[] = {{"create", 2},  {"delete", 1},    {"grow", 2}, {"trim", 3},
                    {"extents", 1}, {"committed", 2}, {"read", 1}, {"produce", 1},
                    {"commit", 1},  {"abort", 1},     {"tell", 4}};
    int index = -1;
    for (size_t i = 0; argc > 2 && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[2], commands[i].name) == 0 && argc - 3 >= commands[i].words)
            index = (int)i;
    if (index < 0)
        fail("usage", "kafka_tool BROKERS create|delete|grow|trim|extents|committed|read|"
                      "produce|commit|abort|tell ..., see the head of kafka_tool.c");
    const bool of_group = index == 5 || index == 10;
    if (index >= 7 && !of_group)
        return produce(argv[1], argv[2], argv[3]);
    const char *const settings[] = {"enable.partition.eof", "true", of_group ? "group.id" : NULL,
                                    argv[3], NULL};
    rd_kafka_t *client = client_of(RD_KAFKA_CONSUMER, argv[1], settings);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    int code;
    if (index == 0)
        code = create(client, queue, argc - 3, argv + 3);
    else if (index < 4)
        code = change(client, queue, argv[2], argv + 3);
    else if (index == 5)
        code = print_committed(client, argv[4]);
    else if (index == 10)
        code = tell(client, argv + 4);
    else
        code = index == 4 ? print_extents(client, argv[3]) : print_records(client, argv[3]);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return code;
}
