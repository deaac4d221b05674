/* A map of the pipeline file poured into options structs. @thread the owner */
#ifndef PIPELINE_SECTION_H
#define PIPELINE_SECTION_H

#include "layout.h"
#include "options.h"
#include "yaml.h"

/* Refuses `node` unless it is a map. `what` names it. */
strid_status section_check_map(const struct yaml_file *file, const struct yaml_node *node,
                               const char *what, strid_error *err);

/* Puts each key of `map` into the first of `sets` that has an option of its name; keys of the
 * layout are left to the caller, who finishes the sets. STRID_ECONFIG with the key's place:
 * unknown, of the wrong type, given in a URL too, a bad value. */
strid_status section_fill(const struct yaml_file *file, const struct yaml_node *map,
                          const struct layout *layout, struct options *const *sets, uint32_t count,
                          strid_error *err);

/* A value that fits the option, as options_put() takes it. */
const char *section_text(const strid_option *option, const struct yaml_node *value);

/* Puts the place of `node` before the message of a failed status; returns STRID_ECONFIG then. */
strid_status section_place(const struct yaml_file *file, const struct yaml_node *node,
                           strid_status status, strid_error *err);

/* "expected EXPECTED, got ..." at the place of `node`. */
strid_status section_refuse_kind(const struct yaml_file *file, const struct yaml_node *node,
                                 const char *what, const char *expected, strid_error *err);

#endif
