/* The store in memory (`memory:`): it lives as long as its handle, or as who keeps it. One lock
 * over one ordered map: simple, and right for tests and for pipelines without durable state.
 * Callbacks of get_many and scan run under the lock for reading, so they must not write to the same
 * store.
 * @locks store->lock, which guards list */
#include "state/store.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "skip_list.h"

#include <pthread.h>
#include <stdatomic.h>

#define COMPONENT "memory"

struct store {
    pthread_rwlock_t lock; /* guards list */
    struct skip_list *list;
    atomic_bool failed; /* relaxed: after a failed load every write is refused, as by each store */
    bool read_only;
    struct store **kept; /* it goes there when it is closed; NULL: nowhere */
};

static strid_status memory_open(const struct store_config *config, struct store **out,
                                strid_error *err)
{
    *out = NULL;
    if (!config->create)
        return error_set(err, STRID_ENOTFOUND, COMPONENT,
                         "a store in memory is gone with the process that made it");
    struct store *store = config->kept == NULL ? NULL : *config->kept;
    if (store != NULL) {
        *config->kept = NULL;
    } else {
        store = memory_alloc_zeroed(sizeof *store);
        (void)pthread_rwlock_init(&store->lock, NULL);
        store->list = skip_list_create();
    }
    atomic_store_explicit(&store->failed, false, memory_order_relaxed);
    store->read_only = config->read_only;
    store->kept = config->kept;
    *out = store;
    return STRID_OK;
}

static void memory_close(struct store *store)
{
    if (store == NULL)
        return;
    if (store->kept != NULL) {
        *store->kept = store;
        store->kept = NULL;
        return;
    }
    skip_list_destroy(store->list);
    (void)pthread_rwlock_destroy(&store->lock);
    memory_free(store);
}

static strid_status may_write(struct store *store, strid_error *err)
{
    if (store->read_only)
        return error_set(err, STRID_EINVAL, COMPONENT, "the store is open for reading only");
    if (atomic_load_explicit(&store->failed, memory_order_relaxed))
        return error_set(err, STRID_ESTORE, COMPONENT,
                         "an earlier load failed; the store has to be opened again");
    return STRID_OK;
}

static void change(struct store *store, const struct store_op *op)
{
    if (op->value.data == NULL)
        (void)skip_list_remove(store->list, op->key);
    else
        skip_list_put(store->list, op->key, op->value);
}

static strid_status memory_apply(struct store *store, const struct store_op *ops, size_t count,
                                 strid_error *err)
{
    strid_status status = may_write(store, err);
    if (status != STRID_OK)
        return status;
    (void)pthread_rwlock_wrlock(&store->lock);
    for (size_t i = 0; i < count; i++)
        change(store, &ops[i]);
    (void)pthread_rwlock_unlock(&store->lock);
    return STRID_OK;
}

static strid_status memory_sync(struct store *store, strid_error *err)
{
    return may_write(store, err);
}

static strid_status memory_get_many(struct store *store, const strid_bytes *keys, size_t count,
                                    store_value_fn fn, void *user, strid_error *err)
{
    (void)err;
    (void)pthread_rwlock_rdlock(&store->lock);
    bool more = true;
    for (size_t i = 0; i < count && more; i++) {
        const struct skip_node *node = skip_list_find(store->list, keys[i]);
        more = fn(user, i, node == NULL ? (strid_bytes){0} : skip_node_value(node));
    }
    (void)pthread_rwlock_unlock(&store->lock);
    return STRID_OK;
}

static strid_status memory_scan(struct store *store, strid_bytes from, strid_bytes to,
                                store_scan_fn fn, void *user, strid_error *err)
{
    (void)err;
    (void)pthread_rwlock_rdlock(&store->lock);
    const struct skip_node *node = skip_list_seek(store->list, from);
    for (; node != NULL; node = skip_list_next(node)) {
        strid_bytes key = skip_node_key(node);
        if (to.data != NULL && skip_list_compare(key, to) >= 0)
            break;
        if (!fn(user, key, skip_node_value(node)))
            break;
    }
    (void)pthread_rwlock_unlock(&store->lock);
    return STRID_OK;
}

static void put_op(struct buffer *out, const struct store_op *op)
{
    buffer_put_u8(out, op->value.data != NULL);
    buffer_put_varint(out, op->key.len);
    buffer_put_bytes(out, op->key);
    if (op->value.data == NULL)
        return;
    buffer_put_varint(out, op->value.len);
    buffer_put_bytes(out, op->value);
}

static struct store_op take_op(struct cursor *cursor)
{
    struct store_op op = {0};
    bool put = cursor_u8(cursor) != 0;
    op.key = cursor_bytes(cursor, (size_t)cursor_varint(cursor));
    if (put)
        op.value = cursor_bytes(cursor, (size_t)cursor_varint(cursor));
    return op;
}

/* Copies first and changes then, so that readers see all of it or nothing, and an order that is
 * wrong changes nothing. */
static strid_status memory_bulk_load(struct store *store, store_next_fn next, void *user,
                                     strid_error *err)
{
    strid_status status = may_write(store, err);
    if (status != STRID_OK)
        return status;
    struct buffer ops = {0}, last = {0};
    struct store_op op;
    bool first = true;
    while (status == STRID_OK && next(user, &op)) {
        if (!first && skip_list_compare(buffer_bytes(&last), op.key) >= 0)
            status = error_set(err, STRID_ESTORE, COMPONENT,
                               "bulk load: the keys do not come in ascending order");
        first = false;
        buffer_clear(&last);
        buffer_put_bytes(&last, op.key);
        put_op(&ops, &op);
    }
    if (status == STRID_OK) {
        struct cursor cursor = cursor_of(buffer_bytes(&ops));
        (void)pthread_rwlock_wrlock(&store->lock);
        while (cursor.at < cursor.end) {
            op = take_op(&cursor);
            change(store, &op);
        }
        (void)pthread_rwlock_unlock(&store->lock);
    } else {
        atomic_store_explicit(&store->failed, true, memory_order_relaxed);
    }
    buffer_fini(&ops);
    buffer_fini(&last);
    return status;
}

static void memory_figures(struct store *store, struct store_figures *out)
{
    (void)pthread_rwlock_rdlock(&store->lock);
    *out = (struct store_figures){.estimated_keys = skip_list_count(store->list),
                                  .memory_bytes = skip_list_bytes(store->list)};
    (void)pthread_rwlock_unlock(&store->lock);
}

const struct store_ops store_memory = {
    .abi_version = STORE_ABI_VERSION,
    .flags = 0,
    .scheme = "memory",
    .open = memory_open,
    .close = memory_close,
    .apply = memory_apply,
    .sync = memory_sync,
    .get_many = memory_get_many,
    .scan = memory_scan,
    .bulk_load = memory_bulk_load,
    .figures = memory_figures,
};
