#include "count.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

struct count_options {
    const char *store;
};

struct count {
    strid_store store;
};

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    const struct count *count = user;
    strid_bytes held;
    int64_t seen = 0;
    strid_state_kind kind = strid_state_get(ctx, count->store, &held);
    (void)record;
    if (__builtin_expect(kind == STRID_STATE_I64, 1)) {
        memcpy(&seen, held.data, sizeof seen);
    } else if (kind != STRID_STATE_ABSENT) { /* of another handler: not to be overwritten */
        strid_set_reason(ctx, "the state of this key is not a count");
        return STRID_REJECT;
    }
    if (__builtin_add_overflow(seen, 1, &seen)) {
        strid_set_reason(ctx, "overflow");
        return STRID_REJECT;
    }
    strid_state_put_i64(ctx, count->store, seen);
    return STRID_DONE;
}

static strid_status add(struct definition *definition, const char *type_glob, const void *options,
                        strid_error *err)
{
    const struct count_options *given = options;
    strid_store store = 0;
    char name[DEFINITION_NAME_MAX + 16];
    STRID_TRY(definition_add_store(definition, given->store, &store, err));
    struct count *count = memory_alloc_zeroed(sizeof *count);
    count->store = store;
    (void)snprintf(name, sizeof name, "count %s", given->store);
    strid_status status =
        definition_add_route(definition, type_glob, name, handle, count, memory_free, err);
    if (status != STRID_OK)
        memory_free(count);
    return status;
}

static const strid_option count_table[] = {
    {.name = "store",
     .type = STRID_OPTION_STRING,
     .flags = STRID_OPTION_REQUIRED,
     .offset = offsetof(struct count_options, store),
     .doc = "Store that holds the count of each key, a 64-bit integer."},
    {0},
};

const struct builtin count_builtin = {
    .name = "count",
    .summary = "Counts the records of each key.",
    .options = count_table,
    .options_size = sizeof(struct count_options),
    .add = add,
};
