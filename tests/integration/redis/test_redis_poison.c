/* An entry that ends each node that handles it, where nodes come and go with their state: none of
 * them lives long enough to know it again, so the server's count of deliveries has to. Three nodes
 * die of it; the fourth dead-letters it. All other entries are handled.
 *
 *   test_redis_poison            the test
 *   test_redis_poison child ...  a node
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <strid/strid.h>

#include "support/check.h"
#include "support/redis_server.h"

enum { ENTRIES = 40, POISON = 17, DEATHS = 3, URL_MAX = SUPPORT_PATH_MAX + 256 };

struct node {
    uint32_t act;
    int handled; /* a file: a line for each entry */
};

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    const struct node *node = user;
    char line[64];
    (void)ctx;
    if (strid_bytes_equal(record->fields[node->act].text, strid_bytes_of_text("abort")))
        abort();
    int len = snprintf(line, sizeof line, " %.*s\n", (int)record->key.len,
                       (const char *)record->key.data);
    CHECK(write(node->handled, line, (size_t)len) == len, "write");
    return STRID_DONE;
}

static int child_main(const char *url, const char *state, const char *handled)
{
    struct node node = {.handled = open(handled, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)};
    strid_error err = STRID_ERROR_INIT;
    CHECK(node.handled >= 0, "%s", handled);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    strid_pipeline *pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "poison", .source = url,
                                  .state = state, .format = "jsonl", .key = "n", .workers = 2,
                                  .memory_bytes = 64u << 20},
        &err);
    CHECK(pipeline != NULL &&
              strid_pipeline_add_field(pipeline, "act", &node.act, &err) == STRID_OK,
          "%s", err.message);
    CHECK(strid_pipeline_on(pipeline, "*", handle, &node, &err) == STRID_OK, "%s", err.message);
    CHECK(strid_pipeline_run(pipeline, &err) == STRID_OK, "%s", err.message);
    strid_pipeline_destroy(pipeline);
    return 0;
}

static bool says(struct redis_server *redis, const char *part, const char *const *words)
{
    struct buffer reply = {0};
    bool found = redis_server_ask(redis, &reply, words) &&
                 memmem(reply.data, reply.len, part, strlen(part)) != NULL;
    buffer_fini(&reply);
    return found;
}

#define SAYS(redis, part, ...) says(redis, part, (const char *const[]){__VA_ARGS__, NULL})

static bool is_done(void *user)
{
    return SAYS(user, ":1\r\n", "XLEN", "s-dlq") &&
           SAYS(user, "*4\r\n:0\r\n", "XPENDING", "s", "g");
}

/* A node as a container is: a consumer and a state of its own. Whether all is done; else it died.
 */
static bool run_node(struct redis_server *redis, int number, const char *handled)
{
    char url[URL_MAX], state[URL_MAX], name[32];
    struct server process = {.pid = 0};
    (void)snprintf(name, sizeof name, "node-%d.log", number);
    support_path(&redis->directory, name, process.log);
    (void)snprintf(url, sizeof url,
                   "redis:///s?socket=%s&group=g&consumer=node-%d&claim_idle=300ms&block=20ms"
                   "&max_deliveries=%d",
                   redis->socket, number, (int)DEATHS);
    (void)snprintf(state, sizeof state, "rocksdb:%s/node-%d.state", redis->directory.path, number);
    server_start(&process,
                 (const char *const[]){"/proc/self/exe", "child", url, state, handled, NULL});
    const bool done = server_wait(&process, is_done, redis);
    CHECK(done || !server_is_running(&process), "node %d does not end: %s", number, process.log);
    server_kill(&process);
    return done;
}

static void add_entries(struct redis_server *redis)
{
    char number[16], id[16];
    for (int i = 1; i <= ENTRIES; i++) {
        (void)snprintf(number, sizeof number, "%d", i);
        (void)snprintf(id, sizeof id, "5-%d", i);
        CHECK(SAYS(redis, id, "XADD", "s", id, "n", number, "act", i == POISON ? "abort" : "none"),
              "XADD");
    }
}

int main(int argc, char **argv)
{
    struct redis_server redis;
    char handled[SUPPORT_PATH_MAX], line[16];
    if (argc == 5 && strcmp(argv[1], "child") == 0)
        return child_main(argv[2], argv[3], argv[4]);
    redis_server_start(&redis, &(struct redis_server_options){.append = REDIS_SERVER_APPEND_NO});
    support_path(&redis.directory, "handled", handled);
    add_entries(&redis);
    int deaths = 0;
    while (!run_node(&redis, deaths + 1, handled))
        CHECK(++deaths <= DEATHS, "%d nodes died", deaths);
    CHECK(deaths == DEATHS, "%d nodes died", deaths);
    CHECK(SAYS(&redis, "delivered_too_often", "XRANGE", "s-dlq", "-", "+"), "the reason");
    CHECK(SAYS(&redis, "{\"n\":\"17\",\"act\":\"abort\"}", "XRANGE", "s-dlq", "-", "+"),
          "the entry");
    char *text = support_read_file(handled, NULL);
    for (int i = 1; i <= ENTRIES; i++) {
        (void)snprintf(line, sizeof line, " %d\n", i);
        CHECK((strstr(text, line) != NULL) == (i != POISON), "entry %d", i);
    }
    free(text);
    printf("%d nodes died of an entry, which is a dead letter; all others were handled\n", deaths);
    redis_server_remove(&redis);
    return 0;
}
