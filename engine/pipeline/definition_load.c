/* The pipeline file, section by section. The order matters: handlers look at source and sinks. */
#include "definition.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"

#include "builtin.h"
#include "endpoint.h"
#include "places.h"
#include "section.h"

enum { WORKERS_MAX = 64 };

struct load {
    const struct yaml_file *file;
    struct definition *definition;
    strid_error *err;
};

static strid_status refuse_missing(const struct load *load, const struct yaml_node *map,
                                   const char *name, const char *expected)
{
    return yaml_refuse(load->file, map->line, map->column, load->err,
                       "\"%s\" is missing: expected %s", name, expected);
}

static strid_status place(const struct load *load, const struct yaml_node *node,
                          strid_status status)
{
    return section_place(load->file, node, status, load->err);
}

/* A section that is a URL, or a map with a URL in it. */
static strid_status find_url(const struct load *load, const char *what,
                             const struct yaml_node *node, const struct yaml_node **url)
{
    *url = node;
    if (node->kind == YAML_KIND_STRING)
        return STRID_OK;
    if (node->kind != YAML_KIND_MAP)
        return section_refuse_kind(load->file, node, what, "a URL, or a map with a url", load->err);
    *url = yaml_find(node, "url");
    if (*url == NULL)
        return refuse_missing(load, node, "url", "a URL such as file:orders.jsonl");
    if ((*url)->kind != YAML_KIND_STRING)
        return section_refuse_kind(load->file, *url, "url", "a URL", load->err);
    return STRID_OK;
}

static strid_status fill(const struct load *load, const struct yaml_node *map,
                         const struct layout *layout, struct options *first, struct options *second)
{
    struct options *sets[2] = {first, second};
    uint32_t count = (first != NULL ? 1u : 0u) + (second != NULL ? 1u : 0u);
    if (map->kind != YAML_KIND_MAP) /* a bare URL */
        return STRID_OK;
    return section_fill(load->file, map, layout, first == NULL ? &sets[1] : sets, count, load->err);
}

static strid_status load_workers(const struct load *load, const struct yaml_node *node)
{
    if (node == NULL || (node->kind == YAML_KIND_STRING && strcmp(node->text, "auto") == 0))
        return STRID_OK;
    char *end = NULL;
    long workers = node->kind == YAML_KIND_INT ? strtol(node->text, &end, 10) : 0;
    if (workers < 1 || workers > WORKERS_MAX || *end != '\0')
        return section_refuse_kind(load->file, node, "workers",
                                   "auto, or a whole number from 1 to 64", load->err);
    load->definition->workers = (uint32_t)workers;
    return STRID_OK;
}

/* Makes the definition from the keys of the file itself. */
static strid_status load_pipeline(struct load *load, struct options *options)
{
    const struct yaml_node *root = &load->file->root;
    const struct layout_pipeline_values *values = options->values;
    STRID_TRY(fill(load, root, &layout_pipeline, options, NULL));
    STRID_TRY(place(load, root, options_finish(options, load->err)));
    if (values->delivery != 0)
        return place(load, yaml_find(root, "delivery"),
                     error_set(load->err, STRID_ECONFIG, "config",
                               "not supported yet: \"delivery: exactly_once\"; use at_least_once"));
    struct definition *definition = definition_create(values->name, load->err);
    if (definition == NULL)
        return place(load, yaml_find(root, "name"), STRID_ECONFIG);
    load->definition = definition;
    definition->memory_bytes = values->memory;
    definition->watchdog_ms = values->watchdog;
    definition->drain_timeout_ms = values->drain_timeout;
    definition->unrouted = (enum definition_unrouted)values->unrouted;
    definition->timeout_ms = values->timeout;
    definition->on_timeout = (enum definition_on_timeout)values->on_timeout;
    definition->retry.ordering = (strid_ordering)(values->ordering + STRID_ORDERING_KEY);
    return load_workers(load, yaml_find(root, "workers"));
}

static strid_status take_source(const struct load *load, const struct yaml_node *node,
                                struct options *own, struct endpoint *endpoint)
{
    const struct layout_source_values *values = own->values;
    const struct yaml_node *pattern = yaml_find(node, "pattern");
    STRID_TRY(fill(load, node, &layout_source, own, &endpoint->options));
    STRID_TRY(place(load, node, options_finish(own, load->err)));
    STRID_TRY(place(load, node, definition_take_source(load->definition, endpoint, load->err)));
    STRID_TRY(place(load, node,
                    definition_set_decode(load->definition, layout_formats[values->format],
                                          values->key, values->type, load->err)));
    return place(load, pattern == NULL ? node : pattern,
                 definition_set_pattern(load->definition, values->pattern,
                                        (enum decode_unmatched)values->unmatched, load->err));
}

static strid_status load_source(const struct load *load, const struct yaml_node *node)
{
    const struct yaml_node *url = NULL;
    struct options own;
    struct endpoint endpoint;
    STRID_TRY(find_url(load, "source", node, &url));
    STRID_TRY(place(load, url, endpoint_open_source(&endpoint, url->text, load->err)));
    options_init(&own, layout_source.options, sizeof(struct layout_source_values));
    strid_status status = take_source(load, node, &own, &endpoint);
    options_fini(&own);
    endpoint_fini(&endpoint);
    return status;
}

static strid_status load_state(const struct load *load, const struct yaml_node *node)
{
    const struct yaml_node *url = NULL;
    if (node == NULL)
        return STRID_OK;
    STRID_TRY(find_url(load, "state", node, &url));
    struct options options;
    options_init(&options, layout_state.options, sizeof(struct layout_state_values));
    const struct layout_state_values *values = options.values;
    strid_status status = fill(load, node, &layout_state, &options, NULL);
    if (status == STRID_OK)
        status = place(load, node, options_finish(&options, load->err));
    if (status == STRID_OK)
        status = place(load, url, definition_set_state(load->definition, url->text, load->err));
    if (status == STRID_OK) {
        load->definition->ttl_ms = values->ttl;
        load->definition->durability =
            (strid_durability)(values->durability + STRID_DURABILITY_DURABLE);
    }
    options_fini(&options);
    return status;
}

static strid_status load_store(const struct load *load, const struct yaml_pair *pair)
{
    struct definition *definition = load->definition;
    struct spelling known = {.count = 0};
    char hint[256];
    strid_store store = 0;
    for (uint32_t i = 1; i <= definition->store_count; i++) {
        spelling_add(&known, definition->stores[i]);
        store = strcmp(definition->stores[i], pair->name) == 0 ? i : store;
    }
    if (store == 0)
        return yaml_refuse(load->file, pair->line, pair->column, load->err,
                           "no handler has a store \"%s\"; %s", pair->name,
                           spelling_hint(&known, pair->name, hint, sizeof hint));
    STRID_TRY(section_check_map(load->file, &pair->value, pair->name, load->err));
    struct options options;
    options_init(&options, layout_store.options, sizeof(struct layout_store_values));
    const struct layout_store_values *values = options.values;
    strid_status status = fill(load, &pair->value, &layout_store, &options, NULL);
    if (status == STRID_OK)
        status = place(load, &pair->value, options_finish(&options, load->err));
    bool has_ttl = yaml_find(&pair->value, "ttl") != NULL;
    if (status == STRID_OK && has_ttl)
        status = definition_set_ttl(
            definition, store, values->ttl == 0 ? DEFINITION_TTL_NEVER : values->ttl, load->err);
    if (status == STRID_OK && values->ordered)
        definition->store_ordered[store] = true;
    options_fini(&options);
    return status;
}

/* After the handlers, which declare the stores: a name that none of them has is a mistake. */
static strid_status load_stores(const struct load *load, const struct yaml_node *state)
{
    const struct yaml_node *node =
        state == NULL || state->kind != YAML_KIND_MAP ? NULL : yaml_find(state, "stores");
    if (node == NULL)
        return STRID_OK;
    STRID_TRY(section_check_map(load->file, node, "stores", load->err));
    for (uint32_t i = 0; i < node->count; i++)
        STRID_TRY(load_store(load, &node->pairs[i]));
    return STRID_OK;
}

static strid_status load_sink(const struct load *load, const char *name,
                              const struct yaml_node *node)
{
    const struct yaml_node *url = NULL;
    struct endpoint endpoint;
    STRID_TRY(find_url(load, name, node, &url));
    STRID_TRY(place(load, url, endpoint_open_sink(&endpoint, url->text, load->err)));
    strid_status status = fill(load, node, &layout_sink, NULL, &endpoint.options);
    if (status == STRID_OK)
        status =
            place(load, node, definition_take_sink(load->definition, name, &endpoint, load->err));
    endpoint_fini(&endpoint);
    return status;
}

static strid_status load_sinks(const struct load *load, const struct yaml_node *node)
{
    if (node == NULL)
        return STRID_OK;
    STRID_TRY(section_check_map(load->file, node, "sink", load->err));
    for (uint32_t i = 0; i < node->count; i++)
        STRID_TRY(load_sink(load, node->pairs[i].name, &node->pairs[i].value));
    return STRID_OK;
}

static void put_encoded(struct buffer *out, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (strchr("%&+#?", *at) != NULL)
            buffer_printf(out, "%%%02X", (unsigned char)*at);
        else
            buffer_put_u8(out, (uint8_t)*at);
    }
}

/* The runtime opens the queue from a URL alone, so options that stand beside it are put into it. */
static char *dlq_url(const strid_option *table, const struct yaml_node *node,
                     const struct yaml_node *url)
{
    struct buffer out = {0};
    char separator = strchr(url->text, '?') == NULL ? '?' : '&';
    buffer_put(&out, url->text, strlen(url->text));
    for (uint32_t i = 0; node->kind == YAML_KIND_MAP && i < node->count; i++) {
        const struct yaml_pair *pair = &node->pairs[i];
        if (&pair->value == url)
            continue;
        buffer_printf(&out, "%c%s=", separator, pair->name);
        put_encoded(&out, section_text(options_find(table, pair->name), &pair->value));
        separator = '&';
    }
    buffer_put_u8(&out, '\0');
    return (char *)out.data;
}

static strid_status load_dlq(const struct load *load, const struct yaml_node *node)
{
    const struct yaml_node *url = NULL;
    struct endpoint endpoint;
    if (node == NULL)
        return STRID_OK;
    STRID_TRY(find_url(load, "dlq", node, &url));
    STRID_TRY(place(load, url, endpoint_open_sink(&endpoint, url->text, load->err)));
    strid_status status = fill(load, node, &layout_dlq, NULL, &endpoint.options);
    if (status == STRID_OK)
        status = place(load, node, endpoint_check(&endpoint, load->err));
    if (status == STRID_OK)
        load->definition->dlq_url = dlq_url(endpoint.options.table, node, url);
    endpoint_fini(&endpoint);
    return status;
}

static strid_status add_builtin(const struct load *load, const struct builtin *builtin,
                                const char *on, const struct yaml_node *node)
{
    static const struct layout_key no_keys[] = {{0}};
    struct layout layout = {.name = builtin->name, .keys = no_keys};
    struct options options;
    STRID_TRY(section_check_map(load->file, node, builtin->name, load->err));
    options_init(&options, builtin->options, builtin->options_size);
    strid_status status = fill(load, node, &layout, &options, NULL);
    if (status == STRID_OK)
        status = place(load, node, options_finish(&options, load->err));
    if (status == STRID_OK)
        status = place(load, node, builtin->add(load->definition, on, options.values, load->err));
    options_fini(&options);
    return status;
}

static strid_status load_handler(const struct load *load, const struct yaml_node *node,
                                 struct options *own)
{
    struct layout_key keys[16] = {{0}};
    struct layout layout = {.name = "handlers", .keys = keys};
    const struct builtin *found = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; builtin_table[i] != NULL && i + 1 < sizeof keys / sizeof keys[0]; i++) {
        keys[i].name = builtin_table[i]->name;
        bool named = yaml_find(node, keys[i].name) != NULL;
        count += named ? 1 : 0;
        found = named ? builtin_table[i] : found;
    }
    STRID_TRY(section_check_map(load->file, node, "handlers", load->err));
    STRID_TRY(fill(load, node, &layout, own, NULL));
    STRID_TRY(place(load, node, options_finish(own, load->err)));
    if (count != 1) {
        struct spelling names = {.count = 0};
        char known[128];
        for (uint32_t i = 0; keys[i].name != NULL; i++)
            spelling_add(&names, keys[i].name);
        (void)spelling_hint(&names, "", known, sizeof known);
        return yaml_refuse(load->file, node->line, node->column, load->err,
                           "a handler has exactly one of its kinds, this one has %u; %s", count,
                           known);
    }
    const struct layout_handler_values *values = own->values;
    struct definition *definition = load->definition;
    uint32_t first = definition->route_count;
    STRID_TRY(add_builtin(load, found, values->on, yaml_find(node, found->name)));
    for (uint32_t i = first; i < definition->route_count; i++)
        if (yaml_find(node, "timeout") != NULL)
            definition->routes[i].timeout_ms = values->timeout;
    return STRID_OK;
}

/* None is fine: a program that loads the file may register its own. */
static strid_status load_handlers(const struct load *load, const struct yaml_node *node)
{
    if (node->kind != YAML_KIND_LIST)
        return section_refuse_kind(load->file, node, "handlers", "a list of handlers", load->err);
    for (uint32_t i = 0; i < node->count; i++) {
        struct options own;
        options_init(&own, layout_handler.options, sizeof(struct layout_handler_values));
        strid_status status = load_handler(load, &node->items[i], &own);
        options_fini(&own);
        STRID_TRY(status);
    }
    return STRID_OK;
}

/* What only shows when all is there, with the place of the part that is at fault. */
static strid_status check_whole(const struct load *load)
{
    const struct yaml_node *root = &load->file->root;
    const char *at = NULL;
    STRID_TRY(place(load, yaml_find(root, "ordering"),
                    definition_check_ordering(load->definition, load->err)));
    strid_status status = places_check(load->definition, &at, load->err);
    if (status != STRID_OK) {
        const struct yaml_node *parent = strcmp(at, "dlq") == 0 ? root : yaml_find(root, "sink");
        return place(load, yaml_find(parent, at), status);
    }
    return place(load, yaml_find(root, "source"), definition_check(load->definition, load->err));
}

static strid_status load_all(struct load *load, struct options *options)
{
    const struct yaml_node *root = &load->file->root;
    STRID_TRY(section_check_map(load->file, root, "pipeline file", load->err));
    STRID_TRY(load_pipeline(load, options));
    const struct yaml_node *source = yaml_find(root, "source");
    const struct yaml_node *handlers = yaml_find(root, "handlers");
    if (source == NULL)
        return refuse_missing(load, root, "source", "a map with a url");
    STRID_TRY(load_source(load, source));
    STRID_TRY(load_state(load, yaml_find(root, "state")));
    STRID_TRY(load_sinks(load, yaml_find(root, "sink")));
    if (handlers != NULL)
        STRID_TRY(load_handlers(load, handlers));
    STRID_TRY(load_stores(load, yaml_find(root, "state")));
    STRID_TRY(load_dlq(load, yaml_find(root, "dlq")));
    STRID_TRY(
        definition_load_retry(load->definition, load->file, yaml_find(root, "retry"), load->err));
    return check_whole(load);
}

strid_status definition_load(const char *path, struct definition **out, strid_error *err)
{
    struct yaml_file *file = NULL;
    struct options options;
    *out = NULL;
    STRID_TRY(yaml_read(path, &file, err));
    options_init(&options, layout_pipeline.options, sizeof(struct layout_pipeline_values));
    struct load load = {.file = file, .err = err};
    strid_status status = load_all(&load, &options);
    options_fini(&options);
    yaml_destroy(file);
    if (status != STRID_OK)
        definition_destroy(load.definition);
    else
        *out = load.definition;
    return status;
}
