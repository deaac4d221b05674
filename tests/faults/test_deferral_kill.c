/* A node whose outcomes come later, killed again and again: every record counts once, in the order
 * of its key, and none of those that were open is lost.
 *
 *   test_deferral_kill                       kills, then checks
 *   test_deferral_kill child DIR WORKERS     a node
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <strid/strid.h>

#include "support/check.h"
#include "support/support.h"

enum {
    KEYS = 100,
    EACH = 150,
    OPEN_MAX_HERE = 40, /* completions begin when so many are open, or nothing more comes */
    KILLS_MAX = 150,
    PLACE_MAX = SUPPORT_PATH_MAX + 64
};

struct node {
    strid_pipeline *pipeline;
    strid_store seen;
    uint32_t number;
    pthread_mutex_t lock; /* guards the queue */
    strid_token queue[KEYS * EACH];
    uint32_t count, looks;
    _Atomic bool ended;
};

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    struct node *node = user;
    int64_t seen = strid_state_get_i64(ctx, node->seen, 0);
    int64_t number = record->fields[node->number].integer;
    CHECK(seen == number, "%.*s: record %" PRId64 " came behind %" PRId64, (int)record->key.len,
          (const char *)record->key.data, number, seen);
    strid_state_put_i64(ctx, node->seen, seen + 1);
    pthread_mutex_lock(&node->lock);
    CHECK(node->count < KEYS * EACH, "more tokens than records");
    node->queue[node->count++] = strid_defer(ctx);
    pthread_mutex_unlock(&node->lock);
    return STRID_DEFERRED;
}

static void *complete(void *user)
{
    struct node *node = user;
    strid_completer *completer = strid_completer_create(node->pipeline, NULL);
    CHECK(completer != NULL, "no completer");
    while (!node->ended) {
        strid_token token = {0};
        pthread_mutex_lock(&node->lock);
        if (node->count >= OPEN_MAX_HERE || (node->count > 0 && ++node->looks % 64 == 0))
            token = node->queue[--node->count];
        pthread_mutex_unlock(&node->lock);
        if (token.generation == 0)
            (void)sched_yield();
        else
            CHECK(strid_complete(completer, token, STRID_DONE) == STRID_OK, "refused");
    }
    strid_completer_destroy(completer);
    return NULL;
}

static int child_main(const char *place, uint32_t workers)
{
    static struct node node;
    char source[PLACE_MAX];
    char state[PLACE_MAX];
    pthread_t thread;
    strid_error err = STRID_ERROR_INIT;
    (void)snprintf(source, sizeof source, "file:%s/in.jsonl", place);
    (void)snprintf(state, sizeof state, "rocksdb:%s/state", place);
    pthread_mutex_init(&node.lock, NULL);
    node.pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "later", .source = source,
                                  .state = state, .format = "jsonl", .key = "key",
                                  .workers = workers, .memory_bytes = 64u << 20},
        &err);
    CHECK(node.pipeline != NULL, "%s", err.message);
    CHECK(strid_pipeline_add_store(node.pipeline, "seen", &node.seen, &err) == STRID_OK &&
              strid_pipeline_add_field(node.pipeline, "n", &node.number, &err) == STRID_OK &&
              strid_pipeline_on(node.pipeline, "*", handle, &node, &err) == STRID_OK &&
              pthread_create(&thread, NULL, complete, &node) == 0,
          "%s", err.message);
    CHECK(strid_pipeline_run(node.pipeline, &err) == STRID_OK, "%s", err.message);
    node.ended = true;
    (void)pthread_join(thread, NULL);
    strid_pipeline_destroy(node.pipeline);
    return 0;
}

/* SIGCHLD is blocked: a child that ends is waited for with a deadline. */
static bool run_child(const char *place, const char *workers, int64_t kill_us, const char *point)
{
    int status = 0;
    sigset_t ended;
    (void)sigemptyset(&ended);
    (void)sigaddset(&ended, SIGCHLD);
    pid_t pid = fork();
    CHECK(pid >= 0, "fork");
    if (pid == 0) {
        if (point != NULL)
            (void)setenv("STRID_CRASH_POINT", point, 1);
        (void)execl("/proc/self/exe", "test_deferral_kill", "child", place, workers, (char *)NULL);
        _exit(254);
    }
    if (kill_us > 0) {
        const struct timespec limit = {.tv_sec = kill_us / 1000000,
                                       .tv_nsec = kill_us % 1000000 * 1000};
        (void)sigtimedwait(&ended, NULL, &limit);
        (void)kill(pid, SIGKILL);
    }
    CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
    while (sigtimedwait(&ended, NULL, &(struct timespec){0}) > 0)
        continue;
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) == 0, "the node ended with %d",
          WEXITSTATUS(status));
    CHECK(WIFEXITED(status) || WTERMSIG(status) == SIGKILL, "signal %d", WTERMSIG(status));
    return WIFEXITED(status);
}

static bool see(void *user, const strid_state_entry *entry)
{
    int64_t seen = 0;
    memcpy(&seen, entry->value.data, sizeof seen);
    CHECK(seen == EACH, "%.*s: %" PRId64 " of %d", (int)entry->key.len,
          (const char *)entry->key.data, seen, EACH);
    ++*(uint32_t *)user;
    return true;
}

static void check(const char *place)
{
    char state[PLACE_MAX];
    uint32_t keys = 0;
    strid_error err = STRID_ERROR_INIT;
    (void)snprintf(state, sizeof state, "rocksdb:%s/state", place);
    strid_state_reader *reader = strid_state_reader_open(state, &err);
    CHECK(reader != NULL, "%s", err.message);
    CHECK(strid_state_reader_scan(reader, "seen", see, &keys, &err) == STRID_OK, "%s", err.message);
    CHECK(keys == KEYS, "%" PRIu32 " keys", keys);
    strid_state_reader_close(reader);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "child") == 0)
        return child_main(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
    sigset_t ended;
    (void)sigemptyset(&ended);
    (void)sigaddset(&ended, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &ended, NULL);
    struct support_directory directory;
    char input[SUPPORT_PATH_MAX];
    support_directory_create(&directory);
    support_path(&directory, "in.jsonl", input);
    FILE *file = fopen(input, "we");
    CHECK(file != NULL, "%s", input);
    for (int number = 0; number < EACH; number++)
        for (int key = 0; key < KEYS; key++)
            (void)fprintf(file, "{\"key\":\"k%d\",\"n\":%d}\n", key, number);
    CHECK(fclose(file) == 0, "%s", input);
    int kills = 0;
    for (int at = 1; at <= 400; at *= 3) {
        char point[32];
        (void)snprintf(point, sizeof point, "deferred_settled:%d", at);
        if (!run_child(directory.path, at % 2 == 0 ? "1" : "3", 0, point))
            kills++;
    }
    CHECK(kills >= 3, "%d kills at deferred_settled", kills);
    for (int64_t wait_us = 20000;
         !run_child(directory.path, kills % 2 == 0 ? "1" : "3", wait_us, NULL); wait_us += 20000)
        CHECK(++kills <= KILLS_MAX, "it never comes to an end");
    check(directory.path);
    printf("%d kills, %d records, all of them once\n", kills, KEYS * EACH);
    support_directory_remove(&directory);
    return 0;
}
