#include "registry.h"

#include <string.h>

static int is_name(const char *name, const char *scheme, size_t len)
{
    return strlen(name) == len && memcmp(name, scheme, len) == 0;
}

const strid_source_ops *registry_find_source(const char *scheme, size_t len)
{
    for (const strid_source_ops *const *ops = registry_sources; *ops != NULL; ops++)
        if (is_name((*ops)->name, scheme, len))
            return *ops;
    return NULL;
}

const strid_sink_ops *registry_find_sink(const char *scheme, size_t len)
{
    for (const strid_sink_ops *const *ops = registry_sinks; *ops != NULL; ops++)
        if (is_name((*ops)->name, scheme, len))
            return *ops;
    return NULL;
}
