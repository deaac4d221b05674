/* Which handlers a record type has. The answer for each type is worked out once per worker and
 * remembered. One thread. */
#ifndef RUNTIME_ROUTE_H
#define RUNTIME_ROUTE_H

#include <string.h>

#include "pipeline/definition.h"

enum { ROUTE_STORES_MAX = 8, ROUTE_CALLS_MAX = 512 };

/* The handlers of one type, in order of registration, and which stores they were seen to use. */
struct route {
    char *type;
    size_t type_len;
    uint64_t hash;
    uint32_t *handlers; /* indexes into definition.routes */
    uint32_t handler_count;
    uint8_t
        stores[ROUTE_STORES_MAX]; /* numbers of stores that handlers read: worth fetching ahead */
    uint32_t store_count;
};

struct route_table {
    const struct definition *definition;
    struct route **slots; /* by hash */
    uint32_t count;
    struct route *last; /* most records are of the type of the one before */
};

void route_table_init(struct route_table *table, const struct definition *definition);
void route_table_fini(struct route_table *table);
/* Those of any type; route_find() is the same for the type that is mostly asked for. */
struct route *route_find_any(struct route_table *table, strid_bytes type);
/* Forgets all routes where there are too many: types come from outside. */
void route_table_trim(struct route_table *table);
void route_uses_store(struct route *route, uint8_t store);

/* '*' any run of bytes, '?' one byte, the rest as it stands. */
bool route_glob_matches(const char *glob, strid_bytes text);

static inline bool route_is_type(const struct route *route, strid_bytes type)
{
    return route->type_len == type.len &&
           (type.len == 0 || memcmp(route->type, type.data, type.len) == 0);
}

/* What it returns lives until route_table_trim(); at most ROUTE_CALLS_MAX calls between two of
 * these. */
static inline struct route *route_find(struct route_table *table, strid_bytes type)
{
    if (__builtin_expect(table->last != NULL && route_is_type(table->last, type), 1))
        return table->last;
    return route_find_any(table, type);
}

#endif
