#include "assert.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *expression, const char *file, int line, const char *function)
{
    /* The process is about to end: stderr is the only place left. */
    fprintf(stderr, "strid: %s:%d: %s: invariant broken: %s\n", file, line, function, expression);
    abort();
}
