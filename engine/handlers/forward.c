#include "forward.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "pipeline/spelling.h"

struct forward_options {
    const char *to;
};

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    const char *sink = user;
    if (strid_emit(ctx, sink, record->key, record->value) == STRID_OK)
        return STRID_DONE;
    strid_set_reason(ctx, "the output was refused");
    return STRID_REJECT;
}

static strid_status add(struct definition *definition, const char *type_glob, const void *options,
                        strid_error *err)
{
    const struct forward_options *given = options;
    struct spelling known = {.count = 0};
    char hint[256];
    uint32_t found = 0;
    char name[DEFINITION_NAME_MAX + 16];
    for (; found < definition->sink_count; found++) {
        if (strcmp(definition->sinks[found].name, given->to) == 0)
            break;
        spelling_add(&known, definition->sinks[found].name);
    }
    if (found == definition->sink_count)
        return error_set(err, STRID_ECONFIG, "config", "there is no sink \"%s\"; %s", given->to,
                         spelling_hint(&known, given->to, hint, sizeof hint));
    char *sink = memory_copy_text(given->to);
    (void)snprintf(name, sizeof name, "forward %s", given->to);
    strid_status status =
        definition_add_route(definition, type_glob, name, handle, sink, memory_free, err);
    if (status != STRID_OK)
        memory_free(sink);
    return status;
}

static const strid_option forward_table[] = {
    {.name = "to",
     .type = STRID_OPTION_STRING,
     .flags = STRID_OPTION_REQUIRED,
     .offset = offsetof(struct forward_options, to),
     .doc = "Name of the sink, as given in sink."},
    {0},
};

const struct builtin forward_builtin = {
    .name = "forward",
    .summary = "Sends key and value of a record to a sink, as they are.",
    .options = forward_table,
    .options_size = sizeof(struct forward_options),
    .add = add,
};
