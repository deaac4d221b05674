/* Directories for files and state that go when the bench ends. @thread control */
#ifndef BENCH_SCRATCH_H
#define BENCH_SCRATCH_H

#include <stddef.h>

/* Makes a new directory below `base`, held until this process ends; its path is written to `out`.
 * Removes what processes that were killed have left there. Returns 0, or -1 with a message on
 * stderr. */
int scratch_create(const char *base, char *out, size_t size);
/* Removes a file or a directory with all it holds; no error where there is none. */
void scratch_remove(const char *path);

#endif
