#include "store.h"

#include <string.h>

static const struct store_ops *const stores[] = {&store_rocksdb, &store_memory};

const struct store_ops *store_find(const char *url, const char **path)
{
    const char *colon = url == NULL ? NULL : strchr(url, ':');
    if (colon == NULL)
        return NULL;
    size_t len = (size_t)(colon - url);
    for (size_t i = 0; i < sizeof stores / sizeof stores[0]; i++) {
        if (strlen(stores[i]->scheme) != len || memcmp(stores[i]->scheme, url, len) != 0)
            continue;
        if (path != NULL)
            *path = colon + 1;
        return stores[i];
    }
    return NULL;
}
