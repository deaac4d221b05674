#include "rival.h"

#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <strid/export.h>

enum { NUMBER_MAX = 32, LINE_MAX_BYTES = 256 };

extern char **environ;

/* The last line of what it prints; -1: it did not end well. */
static int run_program(char *const argv[], char line[LINE_MAX_BYTES])
{
    int ends[2];
    pid_t child = 0;
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0)
        return -1;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_addclose(&actions, ends[0]);
    (void)posix_spawn_file_actions_addclose(&actions, ends[1]);
    int failed = posix_spawnp(&child, argv[0], &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    FILE *output = fdopen(ends[0], "r");
    if (output == NULL) {
        (void)close(ends[0]);
        return -1;
    }
    line[0] = '\0';
    while (failed == 0 && fgets(line, LINE_MAX_BYTES, output) != NULL)
        continue;
    (void)fclose(output);
    int status = 0;
    if (failed != 0 || waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* "RECORDS SECONDS PROCESSOR_SECONDS" */
static bool parse(const char *line, struct bench_run *out)
{
    char *end = NULL;
    out->records = strtoull(line, &end, 10);
    if (end == line)
        return false;
    line = end;
    out->wall_s = strtod(line, &end);
    if (end == line)
        return false;
    line = end;
    out->cpu_s = strtod(line, &end);
    return end != line && *end == '\n';
}

int rival_run(const struct rival *rival, const struct bench_settings *settings, double seconds,
              struct bench_run *out)
{
    char path[2 * MEASURE_PATH_MAX + 32], records[NUMBER_MAX], wait[NUMBER_MAX];
    char line[LINE_MAX_BYTES];
    if (seconds < settings->seconds) {
        *out = (struct bench_run){.records = 1, .wall_s = 1};
        return 0;
    }
    (void)snprintf(path, sizeof path, "%s/%s/classes:%s/%s/jars/*", settings->rivals, rival->name,
                   settings->rivals, rival->name);
    (void)snprintf(records, sizeof records, "%" PRIu64, rival->records);
    (void)snprintf(wait, sizeof wait, "%" PRId64, rival->wait_us);
    const char *const words[] = {"java",
                                 "-Xmx2g",
                                 "-cp",
                                 path,
                                 rival->class,
                                 rival->host->brokers,
                                 rival->host->topic,
                                 records,
                                 wait,
                                 settings->directory,
                                 NULL};
    union { /* posix_spawnp takes its words without const, and leaves them alone */
        const char *const *in;
        char *const *out;
    } argv = {.in = words};
    if (run_program(argv.out, line) != 0 || !parse(line, out))
        return measure_failed(rival->name, "the rival did not end well; what it said stands above");
    return out->records == rival->records ? 0 : measure_failed(rival->name, "not all was handled");
}
