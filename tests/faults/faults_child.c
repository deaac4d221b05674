#include "faults_child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 16 };

static void set(const char *name, const char *value)
{
    if (value == NULL)
        (void)unsetenv(name);
    else
        (void)setenv(name, value, 1);
}

static void become(const struct faults_child *child)
{
    char *args[ARGS_MAX + 2] = {(char *)"child"};
    for (int i = 0; i < ARGS_MAX && child->args[i] != NULL; i++)
        args[i + 1] = (char *)child->args[i]; /* execv changes nothing */
    set("STRID_CRASH_POINT", child->crash_point);
    set("LD_PRELOAD", child->powerloss);
    set("STRID_POWERLOSS_DIR", child->powerloss_dir);
    (void)execv("/proc/self/exe", args);
    perror("execv");
    _exit(254);
}

int faults_child_run(const struct faults_child *child, bool *killed)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        become(child);
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("fork");
        exit(2);
    }
    *killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}
