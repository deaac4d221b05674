#include "python_side.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NUMBER_MAX = 24, LINE_MAX_BYTES = 256 };

const char *python_side_interpreter(void)
{
    const char *name = getenv("STRID_BENCH_PYTHON");
    return name == NULL || name[0] == '\0' ? NULL : name;
}

static void become_reader(const char *reader, const struct redis_host *host, uint64_t entries,
                          int out)
{
    char port[NUMBER_MAX], count[NUMBER_MAX];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(port, sizeof port, "%u", (unsigned)host->port);
    (void)snprintf(count, sizeof count, "%" PRIu64, entries);
    if (dup2(out, STDOUT_FILENO) >= 0)
        (void)execl(python_side_interpreter(), python_side_interpreter(),
                    BENCH_PYTHON_DIR "/read_ack.py", reader, "--port", port, "--entries", count,
                    (char *)NULL);
    _exit(127);
}

/* The last line that it prints is "<entries> <seconds> <seconds of processor time>". */
static int read_result(int from, struct bench_run *out)
{
    char line[LINE_MAX_BYTES];
    int found = 0;
    FILE *lines = fdopen(from, "r");
    while (lines != NULL && fgets(line, sizeof line, lines) != NULL)
        found = sscanf(line, "%" SCNu64 " %lf %lf", &out->records, &out->wall_s, &out->cpu_s);
    if (lines != NULL)
        (void)fclose(lines);
    return found == 3 ? 0 : -1;
}

int python_side_read(const char *reader, const struct redis_host *host, uint64_t entries,
                     struct bench_run *out)
{
    int ends[2], status = 0;
    if (pipe(ends) != 0)
        return measure_failed(reader, "no pipe");
    pid_t child = fork();
    if (child == 0)
        become_reader(reader, host, entries, ends[1]);
    (void)close(ends[1]);
    int result = child < 0 ? -1 : read_result(ends[0], out);
    bool is_fine = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
                   WEXITSTATUS(status) == 0;
    if (!is_fine || result != 0)
        return measure_failed(reader, "failed; run bench/python/install.sh, and name the "
                                      "interpreter that it prints as STRID_BENCH_PYTHON");
    return out->records == entries ? 0 : measure_failed(reader, "has not read all it should");
}
