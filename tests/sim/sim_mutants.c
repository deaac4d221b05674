#include "sim_mutants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mutant.h"

#include "sim_world.h"

static const char *const names[] = {
#define MUTANT_NAME(name, text) [name] = text,
    MUTANT_MAP(MUTANT_NAME)
#undef MUTANT_NAME
};

/* What the child says goes into `said`, its exit status is returned. */
static int run_child(bool (*run)(int, uint64_t), int mutant, uint64_t seeds, char *said,
                     size_t size)
{
    int ends[2];
    (void)fflush(stdout);
    if (pipe(ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        exit(run(mutant, seeds) ? 0 : 1);
    }
    (void)close(ends[1]);
    size_t len = 0;
    ssize_t got;
    while ((got = read(ends[0], said + len, size - 1 - len)) > 0)
        if ((len += (size_t)got) == size - 1)
            break;
    said[len] = '\0';
    (void)close(ends[0]);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

/* "sim: seed 3, step 17: INVARIANT: text" -> seed and invariant. */
static bool read_verdict(const char *said, char *invariant, size_t size, unsigned long long *seed)
{
    const char *at = strstr(said, "sim: seed ");
    if (at == NULL)
        return false;
    *seed = strtoull(at + strlen("sim: seed "), NULL, 10);
    const char *name = strstr(at, "step ");
    name = name == NULL ? NULL : strchr(name, ':');
    if (name == NULL || name[1] == '\0')
        return false;
    name += 2;
    size_t len = strcspn(name, ":");
    if (len >= size)
        return false;
    memcpy(invariant, name, len);
    invariant[len] = '\0';
    return true;
}

bool sim_mutants_catch(bool (*run)(int mutant, uint64_t seeds), uint64_t seeds)
{
    bool all = true;
    for (int mutant = 1; mutant < MUTANT_COUNT; mutant++) {
        char said[4096], invariant[64] = "";
        unsigned long long seed = 0;
        int status = run_child(run, mutant, seeds, said, sizeof said);
        bool caught =
            status == SIM_CAUGHT && read_verdict(said, invariant, sizeof invariant, &seed);
        printf("%2d %-45s %s %s, seed %llu\n", mutant, names[mutant],
               caught ? "caught:" : "NOT CAUGHT:", invariant, seed);
        if (!caught)
            printf("%s\n", said);
        all = all && caught;
    }
    return all;
}
