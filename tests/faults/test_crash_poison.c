/* Records that end the process, each in its own way, beside records that do nothing wrong: the node
 * is started again until it comes to the end of its input. Every poison has to be in the
 * dead-letter queue, once, every other record in the state, once.
 *
 *   test_crash_poison            all scenarios
 *   test_crash_poison child ...  a node, for the scenarios
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <strid/strid.h>

#include "support/check.h"
#include "support/support.h"

enum {
    FILES = 3,
    LINES = 400, /* of each file */
    PLACE_MAX = SUPPORT_PATH_MAX + 128,
    RUNS_MAX = 120,
    TIMEOUT_MS = 300,
    SPIN_US = 200,
    SPARE_BYTES = 64 << 20
};

struct node {
    char source[PLACE_MAX], state[PLACE_MAX], dlq[PLACE_MAX];
    strid_store counts;
    uint32_t act;
    strid_pipeline *pipeline;
    volatile int *nowhere;
    strid_error err;
};

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Takes what is left of a little memory, as a record that unpacks to too much does. */
static void run_out_of_memory(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%ld", &pages) != 1)
        _exit(3);
    (void)fclose(file);
    rlim_t limit = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + SPARE_BYTES;
    if (setrlimit(RLIMIT_AS, &(struct rlimit){.rlim_cur = limit, .rlim_max = limit}) != 0)
        _exit(3);
    struct strid_error *hoard = NULL;
    for (size_t count = 1024;; count += 1024) {
        hoard = realloc(hoard, count * sizeof *hoard); /* NOLINT: meant to run out */
        if (hoard == NULL)
            abort();
        memset(hoard + count - 1024, 1, 1024 * sizeof *hoard);
    }
}

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    const struct node *node = user;
    strid_bytes act = record->fields[node->act].text;
    if (strid_bytes_equal(act, strid_bytes_of_text("segv")))
        *node->nowhere = 1;
    else if (strid_bytes_equal(act, strid_bytes_of_text("abort")))
        abort();
    else if (strid_bytes_equal(act, strid_bytes_of_text("memory")))
        run_out_of_memory();
    for (int64_t end = now_us() + SPIN_US;
         strid_bytes_equal(act, strid_bytes_of_text("loop")) || now_us() < end;)
        continue;
    strid_state_put_i64(ctx, node->counts, strid_state_get_i64(ctx, node->counts, 0) + 1);
    return STRID_DONE;
}

static void print_log(void *user, strid_log_level level, const char *logger, const char *message)
{
    (void)user;
    if (level >= STRID_LOG_WARN)
        fprintf(stderr, "  %s: %s\n", logger, message);
}

static void make_node(struct node *node, const char *place, uint32_t workers, bool talks)
{
    (void)snprintf(node->source, sizeof node->source, "file:%s/in?match=*.jsonl", place);
    (void)snprintf(node->state, sizeof node->state, "rocksdb:%s/state", place);
    (void)snprintf(node->dlq, sizeof node->dlq, "file:%s/dead.dlq", place);
    node->pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "poison",
                                  .source = node->source, .state = node->state, .format = "jsonl",
                                  .key = "key", .dlq = node->dlq, .workers = workers,
                                  .memory_bytes = 64u << 20, .log = talks ? print_log : NULL,
                                  .timeout_ms = TIMEOUT_MS, .on_timeout = STRID_ON_TIMEOUT_ABORT},
        &node->err);
    CHECK(node->pipeline != NULL, "%s", node->err.message);
    CHECK(strid_pipeline_add_store(node->pipeline, "counts", &node->counts, &node->err) ==
                  STRID_OK &&
              strid_pipeline_add_field(node->pipeline, "act", &node->act, &node->err) == STRID_OK &&
              strid_pipeline_on(node->pipeline, "*", handle, node, &node->err) == STRID_OK,
          "%s", node->err.message);
}

static int child_main(const char *place, const char *workers)
{
    struct node node = {.err = STRID_ERROR_INIT};
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    make_node(&node, place, (uint32_t)strtoul(workers, NULL, 10), getenv("STRID_TALK") != NULL);
    if (getenv("STRID_DRAIN") != NULL)
        strid_pipeline_stop(node.pipeline); /* asked to end before it begins */
    strid_status status = strid_pipeline_run(node.pipeline, &node.err);
    CHECK(status == STRID_OK, "%s", node.err.message);
    strid_pipeline_destroy(node.pipeline);
    return 0;
}

/* SIGCHLD, which main() blocks: a child that ends is waited for with a deadline. */
static sigset_t child_ended(void)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGCHLD);
    return signals;
}

static void forget_ended(void)
{
    const sigset_t ended = child_ended();
    while (sigtimedwait(&ended, NULL, &(struct timespec){0}) > 0)
        continue;
}

/* Starts a node; kill_us > 0: and kills it after so long. Whether it came to its end. */
static bool run_child(const char *place, uint32_t workers, int64_t kill_us, const char *crash_point)
{
    char count[16];
    int status = 0;
    (void)snprintf(count, sizeof count, "%" PRIu32, workers);
    pid_t pid = fork();
    CHECK(pid >= 0, "fork");
    if (pid == 0) {
        if (crash_point != NULL)
            (void)setenv("STRID_CRASH_POINT", crash_point, 1);
        (void)execl("/proc/self/exe", "test_crash_poison", "child", place, count, (char *)NULL);
        _exit(254);
    }
    if (kill_us > 0) {
        const sigset_t ended = child_ended();
        const struct timespec limit = {.tv_sec = kill_us / 1000000,
                                       .tv_nsec = kill_us % 1000000 * 1000};
        (void)sigtimedwait(&ended, NULL, &limit);
        (void)kill(pid, SIGKILL);
    }
    CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
    forget_ended();
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) == 0, "the node ended with %d",
          WEXITSTATUS(status));
    return WIFEXITED(status);
}

/* Line `at` of file `file` does `act`, all others nothing. */
static void write_input(const struct support_directory *directory, const char *act, int at)
{
    char place[SUPPORT_PATH_MAX], command[SUPPORT_PATH_MAX + 32];
    support_path(directory, "in", place);
    (void)snprintf(command, sizeof command, "mkdir -p %s", place);
    CHECK(system(command) == 0, "%s", command); /* NOLINT: a name of our own */
    for (int f = 0; f < FILES; f++) {
        char path[PLACE_MAX];
        (void)snprintf(path, sizeof path, "%s/%d.jsonl", place, f);
        FILE *file = fopen(path, "we");
        CHECK(file != NULL, "%s", path);
        for (int i = 0; i < LINES; i++)
            (void)fprintf(file, "{\"key\":\"%d-%d\",\"act\":\"%s\"}\n", f, i,
                          f < 2 && i == at + 50 * f ? act : "none");
        CHECK(fclose(file) == 0, "%s", path);
    }
}

static bool see_entry(void *user, const strid_state_entry *entry)
{
    uint64_t *entries = user;
    int64_t number = 0;
    memcpy(&number, entry->value.data, sizeof number);
    CHECK(number == 1, "%.*s was counted %" PRId64 " times", (int)entry->key.len,
          (const char *)entry->key.data, number);
    ++*entries;
    return true;
}

static bool see_letter(void *user, const strid_output *letter)
{
    uint64_t *letters = user;
    const strid_dead_letter *dead = letter->dead_letter;
    CHECK(strid_bytes_equal(dead->reason, strid_bytes_of_text("crashed the process 3 times")),
          "%.*s", (int)dead->reason.len, (const char *)dead->reason.data);
    CHECK(dead->attempts == 3, "%" PRIu32 " attempts", dead->attempts);
    CHECK(strstr((const char *)dead->topic.data, ".jsonl") != NULL && dead->source != NULL,
          "provenance");
    CHECK(memmem(letter->value.data, letter->value.len, "\"none\"", 6) == NULL, "innocent: %.*s",
          (int)letter->value.len, (const char *)letter->value.data);
    ++*letters;
    return true;
}

static void check(const char *place, uint64_t poisons)
{
    struct node node = {.err = STRID_ERROR_INIT};
    uint64_t entries = 0;
    uint64_t letters = 0;
    make_node(&node, place, 1, false);
    strid_state_reader *reader = strid_state_reader_open(node.state, &node.err);
    CHECK(reader != NULL, "%s", node.err.message);
    CHECK(strid_state_reader_scan(reader, NULL, see_entry, &entries, &node.err) == STRID_OK, "%s",
          node.err.message);
    strid_state_reader_close(reader);
    CHECK(entries == FILES * LINES - poisons, "%" PRIu64 " records are in the state", entries);
    if (poisons > 0)
        CHECK(strid_dlq_list(node.pipeline, see_letter, &letters, &node.err) == STRID_OK, "%s",
              node.err.message);
    else
        CHECK(access(node.dlq + strlen("file:"), F_OK) != 0, "an innocent was dead-lettered");
    CHECK(letters == poisons, "%" PRIu64 " dead letters", letters);
    strid_pipeline_destroy(node.pipeline);
}

/* Two poisons in files of their own, workers that vary from run to run. */
static void poison(const char *act, int at)
{
    struct support_directory directory;
    support_directory_create(&directory);
    write_input(&directory, act, at);
    int crashes = 0;
    while (!run_child(directory.path, 1 + (uint32_t)crashes % 3, 0, NULL)) {
        crashes++;
        CHECK(crashes <= RUNS_MAX, "it never comes to an end");
    }
    /* Each once among others, unless it was in hand at the other's end, and three times alone. */
    CHECK(crashes >= 7 && crashes <= 8, "%d crashes", crashes);
    check(directory.path, 2);
    printf("%s at line %d: %d crashes, 2 dead letters, all others once\n", act, at, crashes);
    support_directory_remove(&directory);
}

/* Behind each crash somebody stops the node before it comes to the record again, or hardly later.
 */
static void poison_between_drains(void)
{
    struct support_directory directory;
    support_directory_create(&directory);
    write_input(&directory, "abort", 300);
    int crashes = 0, drains = 0;
    while (!run_child(directory.path, 2, 0, NULL)) {
        crashes++;
        CHECK(setenv("STRID_DRAIN", "1", 1) == 0, "setenv");
        bool drained = run_child(directory.path, 2, 0, NULL);
        CHECK(unsetenv("STRID_DRAIN") == 0, "unsetenv");
        crashes += !drained;
        drains += drained;
        CHECK(crashes <= RUNS_MAX, "it never comes to an end");
    }
    CHECK(crashes >= 7 && crashes <= 8, "%d crashes", crashes);
    check(directory.path, 2);
    printf("%d drains between %d crashes, 2 dead letters\n", drains, crashes);
    support_directory_remove(&directory);
}

/* Whatever is in hand when somebody kills the node is innocent. */
static void operator_kills(void)
{
    struct support_directory directory;
    support_directory_create(&directory);
    write_input(&directory, "none", 0);
    int kills = 0;
    /* From before the node has opened its state to well into its work, so that some kills hit. */
    for (int64_t wait_us = 5000; !run_child(directory.path, 3, wait_us, NULL); wait_us += 10000)
        CHECK(++kills <= RUNS_MAX, "it never comes to an end");
    check(directory.path, 0);
    printf("%d kills at any time, no dead letter, all once\n", kills);
    support_directory_remove(&directory);
}

/* Killed twice in a row while the same record is alone: two crashes of three, then it succeeds. */
static void operator_kills_alone(void)
{
    struct support_directory directory;
    support_directory_create(&directory);
    write_input(&directory, "abort", 60);
    CHECK(!run_child(directory.path, 2, 0, NULL), "it did not crash");
    write_input(&directory, "quiet", 60); /* of the same length: a handler that was mended */
    CHECK(!run_child(directory.path, 2, 0, "suspect_alone"), "nothing was a suspect");
    CHECK(!run_child(directory.path, 3, 0, "suspect_alone"), "nothing was a suspect");
    CHECK(!run_child(directory.path, 1, 0, "suspect_settled"), "nothing settled");
    CHECK(!run_child(directory.path, 2, 0, "suspect_alone"), "gone before it was durable");
    CHECK(run_child(directory.path, 2, 0, NULL), "it crashed");
    check(directory.path, 0);
    printf("killed while a record was alone: no dead letter\n");
    support_directory_remove(&directory);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "child") == 0)
        return child_main(argv[2], argv[3]);
    const sigset_t ended = child_ended();
    (void)sigprocmask(SIG_BLOCK, &ended, NULL);
    poison("segv", 0);
    poison("abort", 300);
    poison("memory", 120);
    poison("loop", 40);
    poison_between_drains();
    operator_kills();
    operator_kills_alone();
    return 0;
}
