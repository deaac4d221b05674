#include "machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "commit.h" /* generated: BENCH_COMMIT, BENCH_FLAGS */

static void describe_cpu(char *out, size_t size)
{
    (void)snprintf(out, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL)
        return;
    char line[512];
    while (fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || colon == NULL)
            continue;
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(out, size, "%.100s", colon + 2);
        break;
    }
    (void)fclose(file);
}

void machine_describe(struct machine *out)
{
    *out =
        (struct machine){.commit = BENCH_COMMIT, .compiler = BENCH_COMPILER, .flags = BENCH_FLAGS};
    describe_cpu(out->cpu, sizeof out->cpu);
    struct utsname name;
    if (uname(&name) == 0)
        (void)snprintf(out->kernel, sizeof out->kernel, "%.50s %.60s", name.sysname, name.release);
    out->cores = sysconf(_SC_NPROCESSORS_ONLN);
    out->memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}
