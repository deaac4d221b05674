/* Entries that wait for another attempt, or are parked, stay pending with the node that has them:
 * nobody claims them while it lives, others handle them when it is gone with its state, and it
 * handles them once when it comes back. A dead letter of an entry that another consumer has by then
 * is not added, and that consumer's entry is left alone.
 *
 *   test_redis_park            the test
 *   test_redis_park child ...  a node
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <strid/strid.h>

#include "support/check.h"
#include "support/redis_server.h"

enum { URL_MAX = SUPPORT_PATH_MAX + 256, REFRESHES = 5 /* at least a third of claim_idle apart */ };

struct node {
    uint32_t act;
    strid_outcome outcome; /* of what is to wait */
    int handled;           /* a file: a line for each entry that is done */
};

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    const struct node *node = user;
    char line[64];
    (void)ctx;
    if (node->outcome != STRID_DONE &&
        strid_bytes_equal(record->fields[node->act].text, strid_bytes_of_text("wait")))
        return node->outcome;
    int len = snprintf(line, sizeof line, " %llu-%llu\n", (unsigned long long)record->position.high,
                       (unsigned long long)record->position.low);
    CHECK(write(node->handled, line, (size_t)len) == len, "write");
    return STRID_DONE;
}

static strid_pipeline *pipeline;

static void stop(int number)
{
    (void)number;
    strid_pipeline_stop(pipeline);
}

static void log_line(void *user, strid_log_level level, const char *logger, const char *message)
{
    (void)user;
    (void)level;
    (void)fprintf(stderr, "%s: %s\n", logger, message);
}

/* "hold": what is to wait waits; "reject": it is dead-lettered; "go": it is done. */
static strid_outcome outcome_of(const char *mode)
{
    if (strcmp(mode, "hold") == 0)
        return STRID_RETRY;
    return strcmp(mode, "reject") == 0 ? STRID_REJECT : STRID_DONE;
}

static int child_main(const char *url, const char *state, const char *handled, const char *mode)
{
    static const int64_t pauses_ms[] = {50};
    struct node node = {.handled = open(handled, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600),
                        .outcome = outcome_of(mode)};
    strid_error err = STRID_ERROR_INIT;
    CHECK(node.handled >= 0, "%s", handled);
    pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "park", .source = url,
                                  .state = state, .format = "jsonl", .key = "k", .workers = 2,
                                  .memory_bytes = 64u << 20, .max_attempts = 1000,
                                  .retry_steps_ms = pauses_ms, .retry_step_count = 1,
                                  .max_parked = 2, .log = log_line},
        &err);
    CHECK(pipeline != NULL &&
              strid_pipeline_add_field(pipeline, "act", &node.act, &err) == STRID_OK,
          "%s", err.message);
    CHECK(strid_pipeline_on(pipeline, "*", handle, &node, &err) == STRID_OK, "%s", err.message);
    CHECK(sigaction(SIGTERM, &(struct sigaction){.sa_handler = stop}, NULL) == 0, "sigaction");
    CHECK(strid_pipeline_run(pipeline, &err) == STRID_OK, "%s", err.message);
    strid_pipeline_destroy(pipeline);
    return 0;
}

struct parking {
    struct redis_server redis;
    char handled[SUPPORT_PATH_MAX], log[SUPPORT_PATH_MAX];
    unsigned long refreshes;
};

static bool says(struct parking *parking, const char *part, const char *const *words)
{
    struct buffer reply = {0};
    bool found = redis_server_ask(&parking->redis, &reply, words) &&
                 memmem(reply.data, reply.len, part, strlen(part)) != NULL;
    buffer_fini(&reply);
    return found;
}

#define SAYS(parking, part, ...) says(parking, part, (const char *const[]){__VA_ARGS__, NULL})

/* How often the entry was handled. */
static int count_handled(const struct parking *parking, const char *id)
{
    char line[32];
    int count = 0;
    char *text = support_read_file(parking->handled, NULL);
    (void)snprintf(line, sizeof line, " %s\n", id);
    for (const char *at = text; at != NULL && (at = strstr(at, line)) != NULL; at++)
        count++;
    free(text);
    return count;
}

static void expect_handled(const struct parking *parking, const char *const *ids, int times)
{
    for (int i = 0; ids[i] != NULL; i++)
        CHECK(count_handled(parking, ids[i]) == times, "%s: %d times", ids[i],
              count_handled(parking, ids[i]));
}

static bool is_handled(void *user) /* but for what waits: 1 and 2 of either round */
{
    struct parking *parking = user;
    return count_handled(parking, "5-3") == 1 &&
           SAYS(parking, "*4\r\n:2\r\n", "XPENDING", "s", "g");
}

static bool is_parked(void *user)
{
    return SAYS((struct parking *)user, "*4\r\n:2\r\n", "XPENDING", "s", "g");
}

static bool is_done(void *user)
{
    return SAYS((struct parking *)user, "*4\r\n:0\r\n", "XPENDING", "s", "g");
}

static unsigned long count_refreshes(struct parking *parking)
{
    struct buffer reply = {0};
    unsigned long calls = 0;
    CHECK(redis_server_ask(&parking->redis, &reply,
                           (const char *const[]){"INFO", "commandstats", NULL}),
          "INFO");
    buffer_put_u8(&reply, 0);
    const char *at = strstr((const char *)reply.data, "cmdstat_xclaim:calls=");
    if (at != NULL)
        calls = strtoul(at + strlen("cmdstat_xclaim:calls="), NULL, 10);
    buffer_fini(&reply);
    return calls;
}

static bool is_refreshed(void *user)
{
    struct parking *parking = user;
    return count_refreshes(parking) >= parking->refreshes + REFRESHES;
}

static void add(struct parking *parking, const char *id, const char *key, const char *act)
{
    CHECK(SAYS(parking, id, "XADD", "s", id, "k", key, "act", act), "XADD");
}

/* `name`: of its state; `consumer`: usually the same. */
static struct server start_as(struct parking *parking, const char *name, const char *consumer,
                              const char *mode)
{
    char url[URL_MAX], state[URL_MAX], log[64];
    struct server process = {.pid = 0};
    (void)snprintf(log, sizeof log, "%s.log", name);
    support_path(&parking->redis.directory, log, process.log);
    (void)snprintf(url, sizeof url,
                   "redis:///s?socket=%s&group=g&consumer=%s&claim_idle=1s&block=20ms",
                   parking->redis.socket, consumer);
    (void)snprintf(state, sizeof state, "rocksdb:%s/%s.state", parking->redis.directory.path, name);
    server_start(&process, (const char *const[]){"/proc/self/exe", "child", url, state,
                                                 parking->handled, mode, NULL});
    return process;
}

static struct server start_node(struct parking *parking, const char *name, const char *mode)
{
    return start_as(parking, name, name, mode);
}

/* While a node lives nobody claims what waits there, though it reads nothing more; when it is gone
 * somebody does. */
static void test_claims(struct parking *parking)
{
    static const char *const waiting[] = {"5-1", "5-2", NULL};
    add(parking, "5-1", "a", "wait");
    add(parking, "5-2", "a", "none");
    add(parking, "5-3", "b", "none");
    struct server one = start_node(parking, "one", "hold");
    CHECK(server_wait(&one, is_handled, parking), "one: %s", one.log);
    struct server two = start_node(parking, "two", "go");
    parking->refreshes = count_refreshes(parking);
    CHECK(server_wait(&two, is_refreshed, parking), "two: %s", two.log);
    CHECK(!SAYS(parking, "two", "XPENDING", "s", "g", "-", "+", "10"), "two has claimed some");
    CHECK(SAYS(parking, "one", "XPENDING", "s", "g", "-", "+", "10"), "one has lost them");
    expect_handled(parking, waiting, 0);
    server_kill(&one); /* and its state is never used again */
    CHECK(server_wait(&two, is_done, parking), "two: %s", two.log);
    expect_handled(parking, waiting, 1);
    expect_handled(parking, (const char *const[]){"5-3", NULL}, 1);
    server_kill(&two);
}

/* A node that comes back with its state is given its pending entries again, and knows them. */
static void test_restarts(struct parking *parking)
{
    static const char *const waiting[] = {"6-1", "6-2", NULL};
    add(parking, "6-1", "a", "wait");
    add(parking, "6-2", "a", "none");
    for (int i = 0; i < 3; i++) {
        struct server node = start_node(parking, "three", i == 2 ? "go" : "hold");
        CHECK(server_wait(&node, i == 2 ? is_done : is_parked, parking), "three: %s", node.log);
        expect_handled(parking, waiting, i == 2);
        server_kill(&node);
    }
}

static bool is_handled_all_the_same(void *user)
{
    return count_handled(user, "6-3") == 1 && count_handled(user, "6-4") == 1;
}

/* The stream may be trimmed meanwhile. */
static void test_deleted_entries_that_wait(struct parking *parking)
{
    add(parking, "6-3", "a", "wait");
    add(parking, "6-4", "a", "none");
    struct server node = start_node(parking, "eight", "hold");
    CHECK(server_wait(&node, is_parked, parking), "eight: %s", node.log);
    server_stop(&node); /* what waits is in its state */
    CHECK(SAYS(parking, ":2", "XDEL", "s", "6-3", "6-4"), "XDEL");
    node = start_node(parking, "eight", "go");
    CHECK(server_wait(&node, is_handled_all_the_same, parking), "eight: %s", node.log);
    server_stop(&node);
    CHECK(is_done(parking), "they are pending");
    expect_handled(parking, (const char *const[]){"6-3", "6-4", NULL}, 1);
}

/* The queue takes nothing: what is to be a dead letter stays in the outbox. */
static void begin_letters(struct parking *parking, const char *id)
{
    CHECK(SAYS(parking, "OK", "SET", "s-dlq", "no stream"), "SET");
    add(parking, id, "a", "wait");
}

static bool has_said(const struct parking *parking, const char *words)
{
    char *text = support_read_file(parking->log, NULL);
    const bool found = text != NULL && strstr(text, words) != NULL;
    free(text);
    return found;
}

static bool has_letter_waiting(void *user)
{
    return has_said((struct parking *)user, "the letters wait in the outbox");
}

static bool is_declined(void *user)
{
    return has_said((struct parking *)user, "another consumer's by now");
}

static bool is_held_by_five(void *user)
{
    return SAYS((struct parking *)user, "five", "XPENDING", "s", "g", "-", "+", "10");
}

/* Another node claims the entry while this one stands still, or is killed, with the letter in its
 * outbox: no letter, and the entry stays pending for the other one, which handles it. */
static void test_letter_of_what_was_claimed(struct parking *parking)
{
    begin_letters(parking, "7-1");
    struct server four = start_node(parking, "four", "reject");
    memcpy(parking->log, four.log, sizeof parking->log);
    CHECK(server_wait(&four, has_letter_waiting, parking), "four: %s", four.log);
    server_kill(&four);
    struct server five = start_node(parking, "five", "hold");
    CHECK(server_wait(&five, is_held_by_five, parking), "five: %s", five.log);
    CHECK(SAYS(parking, ":1", "DEL", "s-dlq"), "DEL");
    four = start_node(parking, "four", "reject");
    CHECK(server_wait(&four, is_declined, parking), "four: %s", four.log);
    server_stop(&four);
    CHECK(is_held_by_five(parking), "five has lost it: %s", five.log);
    CHECK(SAYS(parking, ":0", "XLEN", "s-dlq"), "there is a letter");
    server_kill(&five);
    five = start_node(parking, "five", "go");
    CHECK(server_wait(&five, is_done, parking), "five: %s", five.log);
    server_kill(&five);
    expect_handled(parking, (const char *const[]){"7-1", NULL}, 1);
    CHECK(SAYS(parking, ":0", "XLEN", "s-dlq"), "there is a letter");
}

/* A node that has another consumer name than before, with a letter in its outbox: it claims the
 * entry in the end, and makes one letter of it. */
static void test_letter_under_another_name(struct parking *parking)
{
    begin_letters(parking, "8-1");
    struct server node = start_node(parking, "six", "reject");
    memcpy(parking->log, node.log, sizeof parking->log);
    CHECK(server_wait(&node, has_letter_waiting, parking), "six: %s", node.log);
    server_kill(&node);
    CHECK(SAYS(parking, ":1", "DEL", "s-dlq"), "DEL");
    for (int i = 0; i < 2; i++) {
        node = start_as(parking, "six", "seven", "reject");
        CHECK(server_wait(&node, is_done, parking), "six: %s", node.log);
        server_stop(&node);
        CHECK(SAYS(parking, ":1", "XLEN", "s-dlq"), "not one letter");
    }
    expect_handled(parking, (const char *const[]){"8-1", NULL}, 0);
}

int main(int argc, char **argv)
{
    struct parking parking = {.refreshes = 0};
    if (argc == 6 && strcmp(argv[1], "child") == 0)
        return child_main(argv[2], argv[3], argv[4], argv[5]);
    redis_server_start(&parking.redis,
                       &(struct redis_server_options){.append = REDIS_SERVER_APPEND_NO});
    support_path(&parking.redis.directory, "handled", parking.handled);
    test_claims(&parking);
    test_restarts(&parking);
    test_deleted_entries_that_wait(&parking);
    test_letter_of_what_was_claimed(&parking);
    test_letter_under_another_name(&parking);
    printf("what waits stayed with its node while it lived, and was handled once\n");
    redis_server_remove(&parking.redis);
    return 0;
}
