/* Subkeys as a handler sees them: the strid_state_*_sub functions and strid_state_scan, on the
 * write set of the record in hand.
 * @thread the worker that calls the handler */
#include <stdlib.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/memory.h"
#include "runtime/sub_scan.h"
#include "runtime/worker_part.h"
#include "runtime/worker_store.h"

enum { FEW = 16, TABLE_MIN = 64 };

/* STRID_OK, and the store's number. */
static strid_status check(const struct strid_context *context, strid_store handle,
                          strid_bytes subkey, uint8_t *store)
{
    const struct run *run = context->worker->run;
    STRID_ASSERT(handle >= 1 && handle <= run->definition->store_count);
    if (!run->definition->store_ordered[handle])
        return STRID_EUNSUPPORTED;
    if (subkey.len == 0)
        return STRID_EINVAL;
    if (subkey.len > KEY_SUBKEY_MAX)
        return STRID_ELIMIT;
    *store = run->store_numbers[handle] | context->store_flag;
    return STRID_OK;
}

static strid_bytes subkey_of(const struct strid_context *context,
                             const struct context_sub_write *write)
{
    return strid_bytes_of(context->bytes.data + write->name_at + (write->name_len - write->sub_len),
                          write->sub_len);
}

static strid_bytes value_of(const struct strid_context *context,
                            const struct context_sub_write *write)
{
    return write->kind == STRID_STATE_ABSENT
               ? strid_bytes_of(NULL, 0)
               : strid_bytes_of(context->bytes.data + write->value_at, write->value_len);
}

static bool is_of(const struct strid_context *context, const struct context_sub_write *write,
                  uint8_t store, strid_bytes subkey, uint32_t hash)
{
    return write->hash == hash && write->store == store &&
           strid_bytes_equal(subkey_of(context, write), subkey);
}

static void put_in_table(struct context_subs *subs, uint32_t index)
{
    uint32_t mask = subs->table_size - 1;
    uint32_t at = subs->writes[index].hash & mask;
    while (subs->table[at] != 0)
        at = (at + 1) & mask;
    subs->table[at] = index + 1;
}

/* The table is kept at most half full; it comes into use when there are more than a few. */
static void index_last(struct context_subs *subs)
{
    if (subs->count <= FEW)
        return;
    if (subs->count - 1 > FEW && 2 * subs->count <= subs->table_size) {
        put_in_table(subs, subs->count - 1);
        return;
    }
    uint32_t size = subs->table_size == 0 ? TABLE_MIN : subs->table_size;
    while (size < 2 * subs->count)
        size *= 2;
    subs->table = memory_resize(subs->table, size * sizeof *subs->table);
    memset(subs->table, 0, size * sizeof *subs->table);
    subs->table_size = size;
    for (uint32_t i = 0; i < subs->count; i++)
        put_in_table(subs, i);
}

static struct context_sub_write *find_write(struct strid_context *context, uint8_t store,
                                            strid_bytes subkey, uint32_t hash)
{
    struct context_subs *subs = &context->subs;
    if (subs->count <= FEW) {
        for (uint32_t i = subs->count; i > 0; i--)
            if (is_of(context, &subs->writes[i - 1], store, subkey, hash))
                return &subs->writes[i - 1];
        return NULL;
    }
    uint32_t mask = subs->table_size - 1;
    for (uint32_t at = hash & mask; subs->table[at] != 0; at = (at + 1) & mask) {
        struct context_sub_write *write = &subs->writes[subs->table[at] - 1];
        if (is_of(context, write, store, subkey, hash))
            return write;
    }
    return NULL;
}

static uint32_t hash_of(uint8_t store, strid_bytes subkey)
{
    return (crc32c(store, subkey.data, subkey.len) * UINT32_C(0x9e3779b1)) >> 3;
}

static struct context_sub_write *add_write(struct strid_context *context, uint8_t store,
                                           strid_bytes subkey)
{
    struct context_subs *subs = &context->subs;
    uint32_t hash = hash_of(store, subkey);
    struct context_sub_write *write = find_write(context, store, subkey, hash);
    if (write != NULL)
        return write;
    if (subs->count == subs->capacity) {
        subs->capacity = subs->capacity == 0 ? FEW : 2 * subs->capacity;
        subs->writes = memory_resize(subs->writes, subs->capacity * sizeof *subs->writes);
    }
    write = &subs->writes[subs->count++];
    /* `subkey` may be a view of an earlier one: what it points to stays when the bytes grow. */
    size_t name_at = context_keep(context, context->key);
    (void)context_keep(context, subkey);
    *write = (struct context_sub_write){.name_at = name_at,
                                        .name_len = (uint32_t)(context->key.len + subkey.len),
                                        .hash = hash,
                                        .sub_len = (uint16_t)subkey.len,
                                        .store = store};
    index_last(subs);
    return write;
}

static strid_status put(struct strid_context *context, strid_store handle, strid_bytes subkey,
                        strid_state_kind kind, strid_bytes value)
{
    uint8_t store = 0;
    if (value.len > STRID_STATE_VALUE_MAX)
        return STRID_ELIMIT;
    STRID_TRY(check(context, handle, subkey, &store));
    struct context_sub_write *write = add_write(context, store, subkey);
    write->value_at = context_keep(context, value);
    write->value_len = value.len;
    write->kind = kind;
    return STRID_OK;
}

strid_status strid_state_put_sub(strid_context *context, strid_store store, strid_bytes subkey,
                                 strid_bytes value)
{
    return put(context, store, subkey, STRID_STATE_BYTES, value);
}

strid_status strid_state_put_sub_i64(strid_context *context, strid_store store, strid_bytes subkey,
                                     int64_t value)
{
    return put(context, store, subkey, STRID_STATE_I64, strid_bytes_of(&value, sizeof value));
}

strid_status strid_state_delete_sub(strid_context *context, strid_store store, strid_bytes subkey)
{
    return put(context, store, subkey, STRID_STATE_ABSENT, strid_bytes_of(NULL, 0));
}

/* The entry of a subkey; NULL: there is none, or the store failed. */
static const struct cache_entry *find_entry(struct strid_context *context, uint8_t store,
                                            strid_bytes subkey)
{
    struct worker *worker = context->worker;
    strid_error err = STRID_ERROR_INIT;
    struct cache_entry *entry = NULL;
    struct worker_store_key key = {
        .store = store, .hash = context->hash, .key = context->key, .subkey = subkey};
    if (worker_store_find(worker, &key, &entry, &err) != STRID_OK) {
        run_fail(worker->run, &err);
        context->failed = true;
        return NULL;
    }
    return entry;
}

strid_state_kind strid_state_get_sub(strid_context *context, strid_store handle, strid_bytes subkey,
                                     strid_bytes *value)
{
    uint8_t store = 0;
    if (check(context, handle, subkey, &store) != STRID_OK)
        return STRID_STATE_ABSENT;
    const struct context_sub_write *write =
        find_write(context, store, subkey, hash_of(store, subkey));
    if (write != NULL) {
        if (write->kind != STRID_STATE_ABSENT)
            *value = value_of(context, write);
        return write->kind;
    }
    const struct cache_entry *entry = find_entry(context, store, subkey);
    if (entry == NULL || cache_kind(entry) == STRID_STATE_ABSENT ||
        key_is_expired(entry->expiry_ms, context->worker->now_ms))
        return STRID_STATE_ABSENT;
    *value = strid_bytes_of(cache_value(entry), entry->value_len);
    return cache_kind(entry);
}

int64_t strid_state_get_sub_i64(strid_context *context, strid_store store, strid_bytes subkey,
                                int64_t fallback)
{
    strid_bytes value;
    int64_t number = fallback;
    if (strid_state_get_sub(context, store, subkey, &value) == STRID_STATE_I64)
        memcpy(&number, value.data, sizeof number);
    return number;
}

static int compare_writes(const void *left, const void *right)
{
    const struct sub_scan_write *a = left, *b = right;
    size_t len = a->subkey.len < b->subkey.len ? a->subkey.len : b->subkey.len;
    int order = memcmp(a->subkey.data, b->subkey.data, len);
    return order != 0 ? order : (a->subkey.len > b->subkey.len) - (a->subkey.len < b->subkey.len);
}

static bool is_between(strid_bytes subkey, strid_bytes from, strid_bytes to)
{
    struct sub_scan_write at = {.subkey = subkey}, begin = {.subkey = from}, end = {.subkey = to};
    return (from.len == 0 || compare_writes(&at, &begin) >= 0) &&
           (to.data == NULL || compare_writes(&at, &end) < 0);
}

/* The record's writes of the range, in order; what they point to stays while the record does. */
static size_t sort_writes(struct strid_context *context, uint8_t store, strid_bytes from,
                          strid_bytes to, struct buffer *out)
{
    for (uint32_t i = 0; i < context->subs.count; i++) {
        const struct context_sub_write *write = &context->subs.writes[i];
        struct sub_scan_write one = {.subkey = subkey_of(context, write),
                                     .value = value_of(context, write),
                                     .kind = write->kind};
        if (write->store == store && is_between(one.subkey, from, to))
            buffer_put(out, &one, sizeof one);
    }
    size_t count = out->len / sizeof(struct sub_scan_write);
    if (count > 1)
        qsort(out->data, count, sizeof(struct sub_scan_write), compare_writes);
    return count;
}

strid_status strid_state_scan(strid_context *context, strid_store handle, strid_bytes from,
                              strid_bytes to, strid_state_scan_fn fn, void *user)
{
    uint8_t store = 0;
    strid_error err = STRID_ERROR_INIT;
    struct buffer writes = {0};
    if (from.len > KEY_SUBKEY_MAX || to.len > KEY_SUBKEY_MAX)
        return STRID_ELIMIT;
    STRID_TRY(check(context, handle, strid_bytes_of("", 1), &store));
    struct sub_scan scan = {.worker = context->worker,
                            .key = context->key,
                            .hash = context->hash,
                            .store = store,
                            .from = from,
                            .to = to,
                            .fn = fn,
                            .user = user};
    scan.write_count = sort_writes(context, store, from, to, &writes);
    scan.writes = (const struct sub_scan_write *)(void *)writes.data;
    strid_status status = sub_scan_run(&scan, &err);
    buffer_fini(&writes);
    if (status != STRID_OK) {
        run_fail(context->worker->run, &err);
        context->failed = true;
    }
    return status;
}

void context_sub_merge(struct strid_context *context)
{
    struct context_subs *subs = &context->subs;
    for (uint32_t i = 0; i < subs->count; i++) {
        const struct context_sub_write *write = &subs->writes[i];
        struct cache_key key = {
            .key = strid_bytes_of(context->bytes.data + write->name_at, write->name_len),
            .hash = context->hash,
            .store = write->store,
            .sub_len = write->sub_len};
        struct key_value value = {.kind = write->kind, .bytes = value_of(context, write)};
        if (value.kind != STRID_STATE_ABSENT)
            value.expiry_ms = context_expiry(context->worker, write->store);
        (void)cache_set(&context->worker->cache, &key, &value);
    }
    context_sub_drop(context);
    worker_part_look(context->worker);
}

void context_sub_drop(struct strid_context *context)
{
    struct context_subs *subs = &context->subs;
    if (subs->count > FEW)
        memset(subs->table, 0, subs->table_size * sizeof *subs->table);
    subs->count = 0;
}

void context_sub_fini(struct strid_context *context)
{
    memory_free(context->subs.writes);
    memory_free(context->subs.table);
}
