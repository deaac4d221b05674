#include "api/dlq_directory.h"

#include <string.h>

#include "base/error.h"

strid_status dlq_directory_begin(const strid_pipeline *pipeline, int64_t now_ms,
                                 struct directory **out, strid_error *err)
{
    const struct definition *definition = pipeline->definition;
    static const uint8_t all_of_one_worker[KEY_VSHARDS];
    struct directory_options options = {.now_ms = now_ms, .log = &pipeline->log};
    *out = NULL;
    STRID_TRY(directory_open(definition->state_url, NULL, &options, out, err));
    const char *owner = (*out)->pipeline;
    if (owner == NULL || strcmp(owner, definition->name) != 0)
        return error_set(err, STRID_ESTATE, "dlq",
                         "%s holds the state of pipeline \"%s\", not of \"%s\"",
                         definition->state_url, owner == NULL ? "" : owner, definition->name);
    return directory_begin_run(*out, 1, all_of_one_worker, err);
}

strid_status dlq_directory_scan(const struct directory *directory, uint8_t store,
                                bool (*fn)(void *user, strid_bytes key, strid_bytes value),
                                void *user, strid_error *err)
{
    for (uint32_t i = 0; i < 2 * KEY_VSHARDS; i++) {
        uint8_t number = (uint8_t)(store | ((i & 1) != 0 ? KEY_STORE_KEYLESS : 0));
        uint8_t from[] = {'s', (uint8_t)(i / 2), number};
        uint8_t to[] = {'s', (uint8_t)(i / 2), (uint8_t)(number + 1)};
        STRID_TRY(directory->ops->scan(directory->store, strid_bytes_of(from, sizeof from),
                                       strid_bytes_of(to, sizeof to), fn, user, err));
    }
    return STRID_OK;
}
