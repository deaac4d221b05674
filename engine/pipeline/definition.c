#include "definition.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

#include "endpoint.h"
#include "pattern.h"

enum {
    GLOB_MAX = 256,
    FIELD_NAME_MAX = 256,
    MAX_ATTEMPTS = 3,
    WATCHDOG_MS = 30 * 1000,
    DRAIN_TIMEOUT_MS = 30 * 1000,
    RETRY_MIN_MS = 100,
    RETRY_MAX_MS = 30 * 1000,
    MAX_PARKED = 100000,
    MAX_PARKED_BYTES = 256 << 20
};

static bool is_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = name == NULL ? 0 : strlen(name);
    return len > 0 && len <= DEFINITION_NAME_MAX && strspn(name, allowed) == len;
}

static strid_status check_name(const char *what, const char *name, strid_error *err)
{
    if (is_name(name))
        return STRID_OK;
    return error_set(err, STRID_ECONFIG, "config",
                     "\"%s\" cannot be the name of a %s: expected 1 to %d of the characters "
                     "A-Z a-z 0-9 _ -",
                     name == NULL ? "" : name, what, DEFINITION_NAME_MAX);
}

struct definition *definition_create(const char *name, strid_error *err)
{
    if (check_name("pipeline", name, err) != STRID_OK)
        return NULL;
    struct definition *definition = memory_alloc_zeroed(sizeof *definition);
    definition->name = memory_copy_text(name);
    definition->state_url = memory_copy_text("memory:");
    definition->decode.format = DECODE_JSONL;
    definition->durability = STRID_DURABILITY_DURABLE;
    definition->max_attempts = MAX_ATTEMPTS;
    definition->retry = (struct retry_definition){.min_ms = RETRY_MIN_MS,
                                                  .max_ms = RETRY_MAX_MS,
                                                  .max_parked = MAX_PARKED,
                                                  .max_parked_bytes = MAX_PARKED_BYTES,
                                                  .ordering = STRID_ORDERING_KEY};
    definition->watchdog_ms = WATCHDOG_MS;
    definition->drain_timeout_ms = DRAIN_TIMEOUT_MS;
    return definition;
}

static void free_source(struct source_definition *source)
{
    memory_free(source->url);
    memory_free(source->target);
    options_free(source->ops == NULL ? NULL : source->ops->options, source->options);
    *source = (struct source_definition){.ops = NULL};
}

void definition_free_sink(struct sink_definition *sink)
{
    memory_free(sink->name);
    memory_free(sink->url);
    memory_free(sink->target);
    options_free(sink->ops == NULL ? NULL : sink->ops->options, sink->options);
    *sink = (struct sink_definition){.ops = NULL};
}

void definition_destroy(struct definition *definition)
{
    if (definition == NULL)
        return;
    for (uint32_t i = 0; i < definition->route_count; i++) {
        struct route_definition *route = &definition->routes[i];
        if (route->destroy_user != NULL)
            route->destroy_user(route->user);
        memory_free(route->type_glob);
        memory_free(route->name);
    }
    for (uint32_t i = 0; i < definition->sink_count; i++)
        definition_free_sink(&definition->sinks[i]);
    for (uint32_t i = 0; i <= definition->store_count; i++)
        memory_free(definition->stores[i]);
    for (uint32_t i = 0; i < definition->decode.field_count; i++)
        memory_free(definition->decode.fields[i]);
    free_source(&definition->source);
    memory_free(definition->routes);
    memory_free(definition->sinks);
    memory_free(definition->decode.key);
    memory_free(definition->decode.type);
    memory_free(definition->decode.pattern);
    memory_free(definition->dlq_url);
    memory_free(definition->state_url);
    memory_free(definition->name);
    memory_free(definition);
}

strid_status definition_take_source(struct definition *definition, struct endpoint *endpoint,
                                    strid_error *err)
{
    struct source_definition source = {.ops = endpoint->source};
    STRID_TRY(endpoint_check(endpoint, err));
    STRID_TRY(endpoint_finish(endpoint, &source.url, &source.target, &source.options, err));
    free_source(&definition->source);
    definition->source = source;
    return STRID_OK;
}

bool definition_has_text_numbers(const struct definition *definition)
{
    const strid_source_ops *source = definition->source.ops;
    return definition->decode.format == DECODE_TEXT ||
           (source != NULL && (source->flags & STRID_SOURCE_TEXTS) != 0);
}

strid_status definition_set_source(struct definition *definition, const char *url, strid_error *err)
{
    struct endpoint endpoint;
    STRID_TRY(endpoint_open_source(&endpoint, url, err));
    strid_status status = definition_take_source(definition, &endpoint, err);
    endpoint_fini(&endpoint);
    return status;
}

static strid_status finish_sink(const char *name, struct endpoint *endpoint,
                                struct sink_definition *out, strid_error *err)
{
    struct sink_definition sink = {.ops = endpoint->sink};
    STRID_TRY(endpoint_finish(endpoint, &sink.url, &sink.target, &sink.options, err));
    sink.name = memory_copy_text(name);
    *out = sink;
    return STRID_OK;
}

strid_status definition_make_sink(const char *name, const char *url, struct sink_definition *out,
                                  strid_error *err)
{
    struct endpoint endpoint;
    *out = (struct sink_definition){.ops = NULL};
    STRID_TRY(check_name("sink", name, err));
    STRID_TRY(endpoint_open_sink(&endpoint, url, err));
    strid_status status = finish_sink(name, &endpoint, out, err);
    endpoint_fini(&endpoint);
    return status;
}

strid_status definition_set_dlq(struct definition *definition, const char *url, strid_error *err)
{
    struct endpoint endpoint;
    strid_status status = endpoint_open_sink(&endpoint, url, err);
    if (status == STRID_OK) {
        status = endpoint_check(&endpoint, err);
        endpoint_fini(&endpoint);
    }
    if (status != STRID_OK)
        return error_wrap(err, status, "dead-letter queue");
    memory_free(definition->dlq_url);
    definition->dlq_url = memory_copy_text(url);
    return STRID_OK;
}

static strid_status check_new_sink(const struct definition *definition, const char *name,
                                   strid_error *err)
{
    STRID_TRY(check_name("sink", name, err));
    if (strcmp(name, "dlq") == 0)
        return error_set(err, STRID_ECONFIG, "config",
                         "a sink cannot be called \"dlq\": that is the dead-letter queue");
    for (uint32_t i = 0; i < definition->sink_count; i++)
        if (strcmp(definition->sinks[i].name, name) == 0)
            return error_set(err, STRID_EEXIST, "config", "there is already a sink \"%s\"", name);
    return STRID_OK;
}

strid_status definition_take_sink(struct definition *definition, const char *name,
                                  struct endpoint *endpoint, strid_error *err)
{
    struct sink_definition sink;
    STRID_TRY(check_new_sink(definition, name, err));
    STRID_TRY(endpoint_check(endpoint, err));
    STRID_TRY(finish_sink(name, endpoint, &sink, err));
    uint32_t count = definition->sink_count;
    definition->sinks = memory_resize(definition->sinks, (count + 1) * sizeof sink);
    definition->sinks[count] = sink;
    definition->sink_count++;
    return STRID_OK;
}

strid_status definition_add_sink(struct definition *definition, const char *name, const char *url,
                                 strid_error *err)
{
    struct endpoint endpoint;
    STRID_TRY(endpoint_open_sink(&endpoint, url, err));
    strid_status status = definition_take_sink(definition, name, &endpoint, err);
    endpoint_fini(&endpoint);
    return status;
}

strid_status definition_add_store(struct definition *definition, const char *name,
                                  strid_store *store, strid_error *err)
{
    STRID_TRY(check_name("store", name, err));
    for (uint32_t i = 1; i <= definition->store_count; i++) {
        if (strcmp(definition->stores[i], name) == 0) {
            *store = i;
            return STRID_OK;
        }
    }
    if (definition->store_count == DEFINITION_STORES_MAX)
        return error_set(err, STRID_ELIMIT, "config", "a pipeline has at most %d stores",
                         DEFINITION_STORES_MAX);
    *store = ++definition->store_count;
    definition->stores[*store] = memory_copy_text(name);
    return STRID_OK;
}

strid_status definition_set_ttl(struct definition *definition, strid_store store, int64_t ttl_ms,
                                strid_error *err)
{
    if ((ttl_ms < 0 && ttl_ms != DEFINITION_TTL_NEVER) || ttl_ms > DEFINITION_TTL_MAX_MS)
        return error_set(err, STRID_ECONFIG, "config",
                         "a time to live of %lld ms for store \"%s\": expected 0 to %lld",
                         (long long)ttl_ms, definition->stores[store],
                         (long long)DEFINITION_TTL_MAX_MS);
    definition->store_ttl_ms[store] = ttl_ms;
    return STRID_OK;
}

strid_status definition_add_field(struct definition *definition, const char *name, uint32_t *index,
                                  strid_error *err)
{
    struct decode_definition *decode = &definition->decode;
    size_t len = name == NULL ? 0 : strlen(name);
    if (len == 0 || len > FIELD_NAME_MAX)
        return error_set(err, STRID_ECONFIG, "config", "a field's name has 1 to %d bytes",
                         FIELD_NAME_MAX);
    STRID_TRY(definition_check_pointer(name, err));
    for (uint32_t i = 0; i < decode->field_count; i++) {
        if (strcmp(decode->fields[i], name) == 0) {
            *index = i;
            return STRID_OK;
        }
    }
    if (decode->field_count == DEFINITION_FIELDS_MAX)
        return error_set(err, STRID_ELIMIT, "config", "a pipeline declares at most %d fields",
                         DEFINITION_FIELDS_MAX);
    *index = decode->field_count++;
    decode->fields[*index] = memory_copy_text(name);
    return STRID_OK;
}

strid_status definition_add_route(struct definition *definition, const char *type_glob,
                                  const char *name, strid_handler handler, void *user,
                                  void (*destroy_user)(void *), strid_error *err)
{
    size_t len = type_glob == NULL ? 0 : strlen(type_glob);
    if (len == 0 || len > GLOB_MAX)
        return error_set(err, STRID_ECONFIG, "config",
                         "a handler's type has 1 to %d bytes; \"*\" is every type", GLOB_MAX);
    if (handler == NULL)
        return error_set(err, STRID_EINVAL, "config", "a handler is NULL");
    uint32_t count = definition->route_count;
    definition->routes =
        memory_resize(definition->routes, (count + 1) * sizeof *definition->routes);
    definition->routes[count] = (struct route_definition){.type_glob = memory_copy_text(type_glob),
                                                          .name = memory_copy_text(name),
                                                          .handler = handler,
                                                          .timeout_ms = -1,
                                                          .user = user,
                                                          .destroy_user = destroy_user};
    definition->route_count++;
    return STRID_OK;
}
