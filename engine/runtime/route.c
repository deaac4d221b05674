#include "runtime/route.h"

#include <xxhash.h>

#include "base/assert.h"
#include "base/memory.h"

enum { ROUTE_SLOTS = 2048, ROUTE_TYPES_MAX = 1024 };
_Static_assert(ROUTE_TYPES_MAX + ROUTE_CALLS_MAX < ROUTE_SLOTS, "a look-up finds an empty slot");

void route_table_init(struct route_table *table, const struct definition *definition)
{
    *table = (struct route_table){.definition = definition};
    table->slots = memory_alloc_zeroed(ROUTE_SLOTS * sizeof(struct route *));
}

static void destroy(struct route *route)
{
    if (route == NULL)
        return;
    memory_free(route->type);
    memory_free(route->handlers);
    memory_free(route);
}

void route_table_fini(struct route_table *table)
{
    for (uint32_t i = 0; table->slots != NULL && i < ROUTE_SLOTS; i++)
        destroy(table->slots[i]);
    memory_free(table->slots);
    *table = (struct route_table){0};
}

bool route_glob_matches(const char *glob, strid_bytes text)
{
    const char *star = NULL; /* behind the last '*' that was tried */
    size_t at = 0, star_at = 0;
    while (at < text.len) {
        if (*glob == '*') {
            star = ++glob;
            star_at = at;
        } else if (*glob != '\0' && (*glob == '?' || (uint8_t)*glob == text.data[at])) {
            glob++;
            at++;
        } else if (star != NULL) {
            glob = star; /* the '*' takes one byte more */
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == '\0';
}

static struct route *make(const struct definition *definition, strid_bytes type, uint64_t hash)
{
    struct route *route = memory_alloc_zeroed(sizeof *route);
    route->hash = hash;
    route->type_len = type.len;
    route->type = memory_alloc(type.len + 1);
    if (type.len > 0)
        memcpy(route->type, type.data, type.len);
    route->handlers = memory_alloc_zeroed((definition->route_count + 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < definition->route_count; i++)
        if (route_glob_matches(definition->routes[i].type_glob, type))
            route->handlers[route->handler_count++] = i;
    return route;
}

struct route *route_find_any(struct route_table *table, strid_bytes type)
{
    uint64_t hash = XXH3_64bits(type.data, type.len);
    uint32_t at = (uint32_t)hash & (ROUTE_SLOTS - 1);
    for (; table->slots[at] != NULL; at = (at + 1) & (ROUTE_SLOTS - 1))
        if (table->slots[at]->hash == hash && route_is_type(table->slots[at], type))
            return table->last = table->slots[at];
    struct route *route = make(table->definition, type, hash);
    STRID_ASSERT(table->count < ROUTE_TYPES_MAX + ROUTE_CALLS_MAX);
    table->slots[at] = route;
    table->count++;
    return table->last = route;
}

void route_table_trim(struct route_table *table)
{
    if (table->count <= ROUTE_TYPES_MAX)
        return;
    const struct definition *definition = table->definition;
    route_table_fini(table);
    route_table_init(table, definition);
}

void route_uses_store(struct route *route, uint8_t store)
{
    for (uint32_t i = 0; i < route->store_count; i++)
        if (route->stores[i] == store)
            return;
    if (route->store_count < ROUTE_STORES_MAX)
        route->stores[route->store_count++] = store;
}
