#include "crash_point.h"

#if defined(STRID_TESTING)

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long hits; /* relaxed: a count, nothing is published by it */

void crash_point_reached(const char *name)
{
    const char *wanted = getenv("STRID_CRASH_POINT");
    if (wanted == NULL)
        return;
    const char *colon = strchr(wanted, ':');
    size_t len = colon == NULL ? strlen(wanted) : (size_t)(colon - wanted);
    if (strlen(name) != len || memcmp(name, wanted, len) != 0)
        return;
    long at = colon == NULL ? 1 : strtol(colon + 1, NULL, 10);
    if (atomic_fetch_add_explicit(&hits, 1, memory_order_relaxed) + 1 == at)
        kill(getpid(), SIGKILL);
}

#else
typedef int crash_point_unused; /* ISO C wants a declaration */
#endif
