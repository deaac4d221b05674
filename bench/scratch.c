#include "scratch.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"

int scratch_create(const char *base, char *out, size_t size)
{
    int len = snprintf(out, size, "%s/strid-bench-XXXXXX", base);
    if (len < 0 || (size_t)len >= size)
        return measure_failed(base, "the path is too long");
    if (mkdtemp(out) == NULL)
        return measure_failed(out, strerror(errno));
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void scratch_remove(const char *path) { (void)nftw(path, remove_entry, 32, FTW_DEPTH | FTW_PHYS); }
