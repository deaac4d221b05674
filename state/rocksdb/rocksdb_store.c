/* The store in RocksDB: one database, one column family, one write-ahead log. A block put by apply
 * goes to the log and the memtable; state comes by bulk_load as sorted files and never passes
 * through the memtable (docs/internals/state.md).
 *
 * After a failed write call the outcome is unknown, and RocksDB may report success for a later one:
 * `failed` then refuses every further write until the store is opened again. */
#include "state/store.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/crash_point.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "rocksdb_bulk.h"
#include "rocksdb_failure.h"
#include "rocksdb_lock.h"
#include "rocksdb_note.h"
#include "rocksdb_place.h"
#include "rocksdb_tuning.h"

#include <rocksdb/c.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPONENT "rocksdb"

enum {
    KEYS_AT_ONCE = 256,
    KEYS_AT_FIRST = 2,
    READ_BYTES = 4 << 20, /* about what the values of one multi-get may take */
    BATCH_KEPT_BYTES = 4 << 20
};

/* A tool that reads is done long before, unless it shows all of a large state. */
static const int64_t readers_ns = INT64_C(3000000000);

struct store {
    char *path;
    rocksdb_t *db;
    rocksdb_column_family_handle_t *family;
    struct rocksdb_tuning tuning;
    rocksdb_writeoptions_t *write_options; /* sync = 0: sync() does it for many */
    rocksdb_readoptions_t *read_options;
    rocksdb_writebatch_t *batch;
    pthread_mutex_t batch_lock; /* guards batch: storage and the materialiser both apply */
    struct rocksdb_bulk bulk;
    pthread_mutex_t bulk_lock; /* guards bulk */
    struct rocksdb_lock lock;
    struct rocksdb_note note;
    atomic_bool failed; /* relaxed: only says that a write failed; nothing is published by it */
    _Atomic uint32_t keys_at_once; /* relaxed: an estimate, of all workers */
    bool read_only;
    bool locks_made;
};

static strid_status open_database(struct store *store, const struct store_config *config,
                                  strid_error *err)
{
    static const char *const names[] = {"default"};
    const rocksdb_options_t *options[] = {store->tuning.options};
    char *text = NULL;
    rocksdb_options_set_create_if_missing(store->tuning.options, config->create);
    if (config->read_only)
        store->db = rocksdb_open_for_read_only_column_families(
            store->tuning.options, config->path, 1, names, options, &store->family, 0, &text);
    else
        store->db = rocksdb_open_column_families(store->tuning.options, config->path, 1, names,
                                                 options, &store->family, &text);
    if (text == NULL)
        return STRID_OK;
    store->db = NULL;
    if (rocksdb_lock_explain(text, config->path, err)) {
        rocksdb_free(text);
        return STRID_EBUSY;
    }
    return rocksdb_failure_open(text, config->path, err);
}

/* Readers are waited out, also one that comes between the look and RocksDB's own lock. */
static strid_status open_behind_readers(struct store *store, const struct store_config *config,
                                        strid_error *err)
{
    const int64_t until_ns = clock_monotonic_ns(&clock_system) + readers_ns;
    for (;;) {
        const bool in_time =
            config->read_only || rocksdb_lock_await_readers(config->path, until_ns);
        strid_status status = open_database(store, config, err);
        if (status != STRID_EBUSY || config->read_only || !in_time ||
            !rocksdb_lock_has_readers(config->path))
            return status;
    }
}

static void store_close(struct store *store)
{
    if (store == NULL)
        return;
    if (store->db != NULL) {
        rocksdb_cancel_all_background_work(store->db, 1);
        rocksdb_column_family_handle_destroy(store->family);
        rocksdb_close(store->db);
    }
    if (store->batch != NULL)
        rocksdb_writebatch_destroy(store->batch);
    if (store->write_options != NULL)
        rocksdb_writeoptions_destroy(store->write_options);
    if (store->read_options != NULL)
        rocksdb_readoptions_destroy(store->read_options);
    rocksdb_tuning_fini(&store->tuning);
    rocksdb_note_close(&store->note);
    rocksdb_lock_release(&store->lock);
    if (store->locks_made) {
        (void)pthread_mutex_destroy(&store->batch_lock);
        (void)pthread_mutex_destroy(&store->bulk_lock);
    }
    memory_free(store->path);
    memory_free(store);
}

static struct store *make_store(const struct store_config *config)
{
    struct store *store = memory_alloc_zeroed(sizeof *store);
    store->path = memory_copy_text(config->path);
    store->read_only = config->read_only;
    store->lock.fd = -1;
    store->keys_at_once = KEYS_AT_FIRST;
    store->note = (struct rocksdb_note){.path = store->path, .fd = -1};
    rocksdb_tuning_init(&store->tuning, config->write_buffer, config->block_cache);
    store->write_options = rocksdb_writeoptions_create();
    store->read_options = rocksdb_readoptions_create();
    store->batch = rocksdb_writebatch_create();
    (void)pthread_mutex_init(&store->batch_lock, NULL);
    (void)pthread_mutex_init(&store->bulk_lock, NULL);
    store->locks_made = true;
    return store;
}

static strid_status store_open(const struct store_config *config, struct store **out,
                               strid_error *err)
{
    *out = NULL;
    if (config->path == NULL || config->path[0] == '\0')
        return error_set(err, STRID_EINVAL, COMPONENT,
                         "the URL names no directory; write rocksdb:DIR");
    bool made = false;
    strid_status status = rocksdb_place_prepare(config, &made, err);
    if (status != STRID_OK)
        return status;
    struct store *store = make_store(config);
    status = rocksdb_lock_claim(&store->lock, config->path, config->read_only, err);
    if (status == STRID_OK)
        status = open_behind_readers(store, config, err);
    /* Only now, when no other process can be writing these files. */
    if (status == STRID_OK && !config->read_only)
        status = rocksdb_bulk_clean(config->path, err);
    if (status != STRID_OK) {
        if (made && store->lock.held && store->db == NULL)
            rocksdb_place_undo(config->path);
        store_close(store);
        return status;
    }
    store->bulk = (struct rocksdb_bulk){store->db, store->tuning.load_options, store->path, 1};
    log_debug((const struct log *)config->log, COMPONENT, "opened %s%s", config->path,
              config->read_only ? " for reading" : "");
    *out = store;
    return STRID_OK;
}

static strid_status may_write(struct store *store, strid_error *err)
{
    if (store->read_only)
        return error_set(err, STRID_EINVAL, COMPONENT, "%s is open for reading only", store->path);
    if (atomic_load_explicit(&store->failed, memory_order_relaxed))
        return error_set(err, STRID_ESTORE, COMPONENT,
                         "an earlier write to %s failed; it has to be opened again", store->path);
    return STRID_OK;
}

static void mark_failed(struct store *store)
{
    atomic_store_explicit(&store->failed, true, memory_order_relaxed);
}

static void reset_batch(struct store *store, size_t bytes)
{
    if (bytes <= BATCH_KEPT_BYTES) {
        rocksdb_writebatch_clear(store->batch);
        return;
    }
    rocksdb_writebatch_destroy(store->batch); /* clear would keep its memory */
    store->batch = rocksdb_writebatch_create();
}

static strid_status store_apply(struct store *store, const struct store_op *ops, size_t count,
                                strid_error *err)
{
    strid_status status = may_write(store, err);
    if (status != STRID_OK || count == 0)
        return status;
    (void)pthread_mutex_lock(&store->batch_lock);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const char *key = (const char *)ops[i].key.data;
        bytes += ops[i].key.len + ops[i].value.len;
        if (ops[i].value.data == NULL)
            rocksdb_writebatch_delete(store->batch, key, ops[i].key.len);
        else
            rocksdb_writebatch_put(store->batch, key, ops[i].key.len,
                                   (const char *)ops[i].value.data, ops[i].value.len);
    }
    CRASH_POINT("store_before_apply");
    char *text = NULL;
    rocksdb_write(store->db, store->write_options, store->batch, &text);
    CRASH_POINT("store_after_apply");
    reset_batch(store, bytes);
    (void)pthread_mutex_unlock(&store->batch_lock);
    if (text == NULL)
        return STRID_OK;
    mark_failed(store);
    return rocksdb_failure_write(text, store->path, "a write", err);
}

static strid_status store_sync(struct store *store, strid_error *err)
{
    strid_status status = may_write(store, err);
    if (status != STRID_OK)
        return status;
    CRASH_POINT("store_before_sync");
    char *text = NULL;
    rocksdb_flush_wal(store->db, 1, &text);
    CRASH_POINT("store_after_sync");
    if (text == NULL)
        return STRID_OK;
    mark_failed(store);
    return rocksdb_failure_write(text, store->path, "a sync", err);
}

/* RocksDB keeps all values of a multi-get at the same time, and knows no bound for their bytes: as
 * many keys as the values of the last ones leave room for, and more only little by little. */
static void learn_from(struct store *store, size_t count, size_t bytes)
{
    uint32_t now = atomic_load_explicit(&store->keys_at_once, memory_order_relaxed);
    size_t fit = bytes == 0 ? KEYS_AT_ONCE : READ_BYTES * count / bytes;
    size_t most = 2 * count > now ? 2 * count : now;
    size_t keys = fit < most ? fit : most;
    keys = keys < 1 ? 1 : keys < KEYS_AT_ONCE ? keys : KEYS_AT_ONCE;
    if (keys != now)
        atomic_store_explicit(&store->keys_at_once, (uint32_t)keys, memory_order_relaxed);
}

struct answers {
    store_value_fn fn;
    void *user;
    size_t first; /* index of the first key of the slice, for the callback */
    bool enough;
};

/* At most KEYS_AT_ONCE keys. */
static strid_status get_slice(struct store *store, const strid_bytes *keys, size_t count,
                              struct answers *answers, strid_error *err)
{
    STRID_ASSERT(count >= 1 && count <= KEYS_AT_ONCE);
    size_t bytes = 0;
    const char *texts[KEYS_AT_ONCE];
    size_t sizes[KEYS_AT_ONCE];
    rocksdb_pinnableslice_t *values[KEYS_AT_ONCE] = {0};
    char *errors[KEYS_AT_ONCE] = {0};
    for (size_t i = 0; i < count; i++) {
        texts[i] = (const char *)keys[i].data;
        sizes[i] = keys[i].len;
    }
    rocksdb_batched_multi_get_cf(store->db, store->read_options, store->family, count, texts, sizes,
                                 values, errors, false);
    strid_status status = STRID_OK;
    for (size_t i = 0; i < count; i++) {
        if (errors[i] != NULL && status == STRID_OK)
            status = rocksdb_failure_read(errors[i], store->path, err);
        else
            rocksdb_free(errors[i]);
    }
    for (size_t i = 0; i < count; i++) {
        strid_bytes value = {0};
        if (values[i] != NULL)
            value.data = (const uint8_t *)rocksdb_pinnableslice_value(values[i], &value.len);
        if (values[i] != NULL && value.data == NULL)
            value.data = (const uint8_t *)""; /* empty is present */
        bytes += value.len;
        if (status == STRID_OK && !answers->fn(answers->user, answers->first + i, value))
            answers->enough = true;
        rocksdb_pinnableslice_destroy(values[i]);
    }
    learn_from(store, count, bytes);
    return status;
}

static strid_status store_get_many(struct store *store, const strid_bytes *keys, size_t count,
                                   store_value_fn fn, void *user, strid_error *err)
{
    strid_status status = STRID_OK;
    struct answers answers = {.fn = fn, .user = user};
    for (size_t here; answers.first < count && status == STRID_OK && !answers.enough;
         answers.first += here) {
        size_t left = count - answers.first;
        size_t most = atomic_load_explicit(&store->keys_at_once, memory_order_relaxed);
        here = left < most ? left : most;
        status = get_slice(store, keys + answers.first, here, &answers, err);
    }
    return status;
}

static strid_status store_scan(struct store *store, strid_bytes from, strid_bytes to,
                               store_scan_fn fn, void *user, strid_error *err)
{
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_fill_cache(options, 0); /* a scan would push out what workers need */
    if (to.data != NULL)
        rocksdb_readoptions_set_iterate_upper_bound(options, (const char *)to.data, to.len);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->db, options);
    if (from.len == 0)
        rocksdb_iter_seek_to_first(iterator);
    else
        rocksdb_iter_seek(iterator, (const char *)from.data, from.len);
    bool more = true;
    while (more && rocksdb_iter_valid(iterator)) {
        strid_bytes key, value;
        key.data = (const uint8_t *)rocksdb_iter_key(iterator, &key.len);
        value.data = (const uint8_t *)rocksdb_iter_value(iterator, &value.len);
        if (value.data == NULL)
            value.data = (const uint8_t *)"";
        more = fn(user, key, value);
        if (more)
            rocksdb_iter_next(iterator);
    }
    char *text = NULL;
    rocksdb_iter_get_error(iterator, &text);
    rocksdb_iter_destroy(iterator);
    rocksdb_readoptions_destroy(options);
    return text == NULL ? STRID_OK : rocksdb_failure_read(text, store->path, err);
}

static strid_status store_bulk_load(struct store *store, store_next_fn next, void *user,
                                    strid_error *err)
{
    strid_status status = may_write(store, err);
    if (status != STRID_OK)
        return status;
    (void)pthread_mutex_lock(&store->bulk_lock);
    status = rocksdb_bulk_load(&store->bulk, next, user, err);
    (void)pthread_mutex_unlock(&store->bulk_lock);
    if (status != STRID_OK)
        mark_failed(store);
    return status;
}

static uint64_t property(const struct store *store, const char *name)
{
    uint64_t value = 0;
    if (rocksdb_property_int(store->db, name, &value) != 0)
        return 0;
    return value;
}

static uint64_t directory_bytes(const char *path)
{
    uint64_t bytes = 0;
    DIR *directory = opendir(path);
    if (directory == NULL)
        return 0;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        struct stat info;
        if (fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode))
            bytes += (uint64_t)info.st_size;
    }
    (void)closedir(directory);
    return bytes;
}

static void store_figures_fill(struct store *store, struct store_figures *out)
{
    *out = (struct store_figures){.disk_bytes = directory_bytes(store->path)};
    out->estimated_keys = property(store, "rocksdb.estimate-num-keys");
    out->memory_bytes = property(store, "rocksdb.cur-size-all-mem-tables") +
                        property(store, "rocksdb.estimate-table-readers-mem") +
                        property(store, "rocksdb.block-cache-usage");
    const rocksdb_livefiles_t *files = rocksdb_livefiles(store->db);
    int count = rocksdb_livefiles_count(files);
    for (int i = 0; i < count; i++) {
        int level = rocksdb_livefiles_level(files, i);
        if (level < 0 || level >= 7)
            continue;
        out->level_files[level]++;
        out->level_bytes[level] += rocksdb_livefiles_size(files, i);
    }
    rocksdb_livefiles_destroy(files);
}

static void store_note_synced(struct store *store, uint64_t number)
{
    rocksdb_note_put(&store->note, number);
}

static uint64_t store_noted_synced(struct store *store) { return rocksdb_note_get(&store->note); }

const struct store_ops store_rocksdb = {
    .abi_version = STORE_ABI_VERSION,
    .flags = STORE_DURABLE,
    .scheme = "rocksdb",
    .open = store_open,
    .close = store_close,
    .apply = store_apply,
    .sync = store_sync,
    .get_many = store_get_many,
    .scan = store_scan,
    .bulk_load = store_bulk_load,
    .figures = store_figures_fill,
    .note_synced = store_note_synced,
    .noted_synced = store_noted_synced,
};
