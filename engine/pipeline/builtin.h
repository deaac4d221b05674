/* Handlers that a pipeline file can ask for by name. */
#ifndef PIPELINE_BUILTIN_H
#define PIPELINE_BUILTIN_H

#include "definition.h"

struct builtin {
    const char *name;
    const char *summary;
    const strid_option *options;
    size_t options_size;
    /* Adds the handler to a definition whose source and sinks are set; keeps nothing of `options`.
     */
    strid_status (*add)(struct definition *definition, const char *type_glob, const void *options,
                        strid_error *err);
};

/* Defined by engine/handlers/builtin_table.c, NULL-terminated. The pipeline names no handler. */
extern const struct builtin *const builtin_table[];

#endif
