/* Runs a part of a test program in a process of its own that gets killed: the same program again,
 * with arguments and environment of the caller's choice. @thread any */
#ifndef FAULTS_CHILD_H
#define FAULTS_CHILD_H

#include <stdbool.h>

struct faults_child {
    const char *const *args;   /* behind the program's name; NULL at the end */
    const char *crash_point;   /* STRID_CRASH_POINT, or NULL */
    const char *powerloss;     /* path of the preloaded library, or NULL */
    const char *powerloss_dir; /* STRID_POWERLOSS_DIR */
};

/* Waits for its end. *killed: by SIGKILL. Returns the exit status, or 255 after a signal. */
int faults_child_run(const struct faults_child *child, bool *killed);

#endif
