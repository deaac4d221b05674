/* A YAML file as a tree in which every node knows its place. One document of maps, lists and plain
 * values by the YAML 1.2 core schema (`no` and `on` are strings); anchors, aliases, tags, merge
 * keys and duplicate keys are refused, depth and size are bounded. ${NAME}, ${NAME:-default} and
 * ${file:PATH} are replaced in values.
 * @thread the owner */
#ifndef PIPELINE_YAML_H
#define PIPELINE_YAML_H

#include <strid/error.h>

enum yaml_kind {
    YAML_KIND_NULL = 0,
    YAML_KIND_BOOL,
    YAML_KIND_INT,
    YAML_KIND_FLOAT,
    YAML_KIND_STRING,
    YAML_KIND_LIST,
    YAML_KIND_MAP
};

struct yaml_pair;

struct yaml_node {
    enum yaml_kind kind;
    uint32_t line, column; /* from 1 */
    char *text;            /* of a value, as written */
    struct yaml_pair *pairs;
    struct yaml_node *items;
    uint32_t count;
};

struct yaml_pair {
    char *name;
    uint32_t line, column; /* of the name */
    struct yaml_node value;
};

struct yaml_file {
    char *path; /* as given, for messages */
    struct yaml_node root;
};

/* STRID_EIO: cannot be read. STRID_ECONFIG: "path:line:column: ...". */
strid_status yaml_read(const char *path, struct yaml_file **out, strid_error *err);
void yaml_destroy(struct yaml_file *file);

/* The value of `name` in a map; NULL: not there. */
const struct yaml_node *yaml_find(const struct yaml_node *map, const char *name);

/* "a string", "a list", ... */
const char *yaml_kind_text(enum yaml_kind kind);

/* A failure with "path:line:column: " before the message; returns STRID_ECONFIG. */
strid_status yaml_refuse(const struct yaml_file *file, uint32_t line, uint32_t column,
                         strid_error *err, const char *format, ...) STRID_PRINTF(5, 6);

#endif
