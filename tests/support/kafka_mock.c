/* A cluster of librdkafka's own, of one broker, that answers with errors when it is told to. In a
 * process of its own, so that it outlives what is killed. Prints where it listens; then takes
 * commands, a line each, and answers each with a line, "ok" or a number:
 *
 *   topic NAME PARTITIONS       makes a topic
 *   errors API COUNT CODE...    the next answers to that kind of request: COUNT times each CODE
 *   late API COUNT CODE MS      the same with one CODE, 0 being none, each MS after its request
 *   left API                    how many of them were not given yet
 *   topic_error NAME CODE       what is said of the topic when it is asked for; 0: it is well
 *   down | up                   takes no connections and ends those that there are; and back
 *
 * APIs and codes are numbers of Kafka's protocol; -195 cuts the connection. It ends with its input.
 * Knows neither transactions nor the making of topics by clients. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

enum { BROKER = 1, WHY_MAX = 512, WORDS_MAX = 64 };

static void fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "kafka_mock: %s: %s\n", what, why);
    exit(1);
}

static void check(const char *what, rd_kafka_resp_err_t code)
{
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail(what, rd_kafka_err2str(code));
}

static long number_of(const char *word)
{
    char *end = NULL;
    long number = word == NULL ? 0 : strtol(word, &end, 10);
    if (word == NULL || *word == '\0' || *end != '\0')
        fail(word == NULL ? "nothing" : word, "expected a number");
    return number;
}

/* To the broker's own list, for it can be asked how long it is. */
static void push(rd_kafka_mock_cluster_t *cluster, int16_t api, int count, const char *code,
                 int late_ms)
{
    for (int i = 0; i < count; i++)
        check("errors",
              rd_kafka_mock_broker_push_request_error_rtts(
                  cluster, BROKER, api, 1, (rd_kafka_resp_err_t)number_of(code), late_ms));
}

static size_t left(rd_kafka_mock_cluster_t *cluster, int16_t api)
{
    size_t count = 0;
    check("left", rd_kafka_mock_broker_error_stack_cnt(cluster, BROKER, api, &count));
    return count;
}

static int run(rd_kafka_mock_cluster_t *cluster, int count, char **words)
{
    const char *name = words[0];
    int16_t api = 0;
    if (strcmp(name, "errors") == 0 || strcmp(name, "late") == 0 || strcmp(name, "left") == 0)
        api = (int16_t)number_of(words[1]);
    if (strcmp(name, "topic") == 0 && count == 3)
        check(words[1], rd_kafka_mock_topic_create(cluster, words[1], (int)number_of(words[2]), 1));
    else if (strcmp(name, "errors") == 0 && count > 3)
        for (int c = 3; c < count; c++)
            push(cluster, api, (int)number_of(words[2]), words[c], 0);
    else if (strcmp(name, "late") == 0 && count == 5)
        push(cluster, api, (int)number_of(words[2]), words[3], (int)number_of(words[4]));
    else if (strcmp(name, "left") == 0 && count == 2)
        return printf("%zu\n", left(cluster, api));
    else if (strcmp(name, "topic_error") == 0 && count == 3)
        rd_kafka_mock_topic_set_error(cluster, words[1], (rd_kafka_resp_err_t)number_of(words[2]));
    else if (strcmp(name, "down") == 0)
        check(name, rd_kafka_mock_broker_set_down(cluster, BROKER));
    else if (strcmp(name, "up") == 0)
        check(name, rd_kafka_mock_broker_set_up(cluster, BROKER));
    else
        fail(name, "no such command, see the head of kafka_mock.c");
    return printf("ok\n");
}

int main(void)
{
    char why[WHY_MAX];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "log_level", "3", why, sizeof why) != RD_KAFKA_CONF_OK)
        fail("log_level", why);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (client == NULL)
        fail("no client", why);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(client, 1);
    if (cluster == NULL)
        fail("no cluster", "librdkafka makes none");
    printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    (void)fflush(stdout);
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        char *words[WORDS_MAX], *rest = line;
        int count = 0;
        line[strcspn(line, "\n")] = '\0';
        for (char *word; count < WORDS_MAX && (word = strsep(&rest, " ")) != NULL;)
            if (*word != '\0')
                words[count++] = word;
        if (count > 0)
            (void)run(cluster, count, words);
        (void)fflush(stdout);
    }
    free(line);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(client);
    return 0;
}
