#include "section.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

strid_status section_place(const struct yaml_file *file, const struct yaml_node *node,
                           strid_status status, strid_error *err)
{
    if (status == STRID_OK)
        return STRID_OK;
    (void)error_wrap(err, status, "%s:%u:%u", file->path, node->line, node->column);
    if (err != NULL)
        err->status = STRID_ECONFIG;
    return STRID_ECONFIG;
}

strid_status section_refuse_kind(const struct yaml_file *file, const struct yaml_node *node,
                                 const char *what, const char *expected, strid_error *err)
{
    char got[160];
    switch (node->kind) {
    case YAML_KIND_BOOL:
        (void)snprintf(got, sizeof got, "%s", node->text);
        break;
    case YAML_KIND_INT:
    case YAML_KIND_FLOAT:
        (void)snprintf(got, sizeof got, "the number %.100s", node->text);
        break;
    case YAML_KIND_STRING:
        (void)snprintf(got, sizeof got, "the string \"%.100s\"", node->text);
        break;
    case YAML_KIND_NULL:
    case YAML_KIND_LIST:
    case YAML_KIND_MAP:
        (void)snprintf(got, sizeof got, "%s", yaml_kind_text(node->kind));
        break;
    }
    return yaml_refuse(file, node->line, node->column, err, "\"%s\": expected %s, got %s", what,
                       expected, got);
}

strid_status section_check_map(const struct yaml_file *file, const struct yaml_node *node,
                               const char *what, strid_error *err)
{
    if (node->kind == YAML_KIND_MAP)
        return STRID_OK;
    return section_refuse_kind(file, node, what, "a map", err);
}

static bool kind_fits(const strid_option *option, enum yaml_kind kind)
{
    bool scalar = kind != YAML_KIND_NULL && kind != YAML_KIND_LIST && kind != YAML_KIND_MAP;
    switch (option->type) {
    case STRID_OPTION_STRING:
        return kind == YAML_KIND_STRING || (scalar && (option->flags & STRID_OPTION_SCALAR) != 0);
    case STRID_OPTION_INT:
        return kind == YAML_KIND_INT;
    case STRID_OPTION_BOOL:
        return kind == YAML_KIND_BOOL;
    case STRID_OPTION_SIZE:
    case STRID_OPTION_DURATION:
        return kind == YAML_KIND_STRING || kind == YAML_KIND_INT || kind == YAML_KIND_FLOAT;
    case STRID_OPTION_FLOAT:
        return kind == YAML_KIND_INT || kind == YAML_KIND_FLOAT;
    case STRID_OPTION_ENUM:
    case STRID_OPTION_PROPERTIES:
        return scalar;
    }
    return false;
}

/* The section that has a key of exactly this name; NULL: none, or only this one. */
static const struct layout *find_owner(const struct layout *layout, const char *name)
{
    for (const struct layout *const *other = layout_sections; *other != NULL; other++) {
        if (*other == layout)
            continue;
        for (const strid_option *option = (*other)->options; option != NULL && option->name != NULL;
             option++)
            if (strcmp(option->name, name) == 0)
                return *other;
        for (const struct layout_key *key = (*other)->keys; key->name != NULL; key++)
            if (strcmp(key->name, name) == 0)
                return *other;
    }
    return NULL;
}

static strid_status refuse_unknown(const struct yaml_file *file, const struct yaml_pair *pair,
                                   const struct layout *layout, struct options *const *sets,
                                   uint32_t count, strid_error *err)
{
    struct spelling known = {.count = 0};
    char hint[256];
    for (uint32_t i = 0; i < count; i++)
        options_add_names(sets[i]->table, &known);
    for (const struct layout_key *key = layout->keys; key->name != NULL; key++)
        spelling_add(&known, key->name);
    const struct layout *owner = find_owner(layout, pair->name);
    if (owner == NULL)
        (void)spelling_hint(&known, pair->name, hint, sizeof hint);
    else if (owner->name == NULL)
        (void)snprintf(hint, sizeof hint, "it belongs to the file itself, in no section");
    else
        (void)snprintf(hint, sizeof hint, "it belongs in \"%s\"", owner->name);
    bool nested = layout->name != NULL;
    return yaml_refuse(file, pair->line, pair->column, err, "unknown key \"%s\"%s%s%s; %s",
                       pair->name, nested ? " in \"" : "", nested ? layout->name : "",
                       nested ? "\"" : "", hint);
}

const char *section_text(const strid_option *option, const struct yaml_node *value)
{
    if (option->type != STRID_OPTION_BOOL) /* True and TRUE are bools of the core schema too */
        return value->text;
    return value->text[0] == 't' || value->text[0] == 'T' ? "true" : "false";
}

static strid_status put(const struct yaml_file *file, const struct yaml_pair *pair,
                        struct options *set, strid_error *err)
{
    const strid_option *option = options_find(set->table, pair->name);
    if (!kind_fits(option, pair->value.kind)) {
        char words[256];
        if (option->type == STRID_OPTION_ENUM)
            options_words(option, words, sizeof words);
        return section_refuse_kind(
            file, &pair->value, pair->name,
            option->type == STRID_OPTION_ENUM ? words : options_expected(option->type), err);
    }
    if ((set->given >> (option - set->table) & 1) != 0)
        return yaml_refuse(file, pair->line, pair->column, err,
                           "\"%s\" is given both in the URL and as a key", pair->name);
    return section_place(file, &pair->value,
                         options_put(set, pair->name, section_text(option, &pair->value), err),
                         err);
}

strid_status section_fill(const struct yaml_file *file, const struct yaml_node *map,
                          const struct layout *layout, struct options *const *sets, uint32_t count,
                          strid_error *err)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct yaml_pair *pair = &map->pairs[i];
        const struct layout_key *key = layout->keys;
        while (key->name != NULL && strcmp(key->name, pair->name) != 0)
            key++;
        uint32_t n = 0;
        while (n < count && options_find(sets[n]->table, pair->name) == NULL)
            n++;
        if (n < count)
            STRID_TRY(put(file, pair, sets[n], err));
        else if (key->name == NULL)
            return refuse_unknown(file, pair, layout, sets, count, err);
    }
    return STRID_OK;
}
