#include "state/directory.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "state/directory_load.h"
#include "state/meta.h"

static void put_value(struct batch *batch, struct buffer *key, struct buffer *value)
{
    meta_value_end(value);
    batch_put(batch, buffer_bytes(key), buffer_bytes(value));
}

/* What it is, in this version's format. */
static void put_directory(struct directory *directory, struct batch *batch, struct buffer *key,
                          struct buffer *value)
{
    directory->format = DIRECTORY_FORMAT;
    meta_key(key, "directory", strid_bytes_of(NULL, 0));
    meta_value_begin(value);
    buffer_put_u32(value, directory->format);
    buffer_put_u32(value, KEY_VSHARDS);
    buffer_put_u64(value, directory->seed);
    buffer_put(value, directory->id, DIRECTORY_ID_BYTES);
    buffer_put_u8(value, DIRECTORY_SCOPE_GLOBAL);
    buffer_put_u8(value, directory->has_marks);
    put_value(batch, key, value);
}

static strid_status make(struct directory *directory, const struct directory_options *options,
                         strid_error *err)
{
    directory->has_marks = true;
    directory->seed = options->new_seed;
    memcpy(directory->id, options->new_id, DIRECTORY_ID_BYTES);
    struct buffer key = {0}, value = {0};
    struct batch batch = {0};
    put_directory(directory, &batch, &key, &value);
    strid_status status = batch_apply(&batch, directory->ops, directory->store, err);
    if (status == STRID_OK)
        status = directory->ops->sync(directory->store, err);
    batch_fini(&batch);
    buffer_fini(&key);
    buffer_fini(&value);
    return status;
}

strid_status directory_open(const char *url, const struct store_ops *ops,
                            const struct directory_options *options, struct directory **out,
                            strid_error *err)
{
    const char *path = "";
    if (ops == NULL)
        ops = store_find(url, &path);
    if (ops == NULL)
        return error_set(err, STRID_ECONFIG, "state",
                         "\"%s\" names no state store; use \"rocksdb:DIRECTORY\" or \"memory:\"",
                         url);
    struct directory *directory = memory_alloc_zeroed(sizeof *directory);
    directory->ops = ops;
    directory->url = memory_copy_text(url);
    directory->log = options->log;
    directory->fold = fold_create();
    directory->now_ms = options->now_ms;
    struct store_config config = {.path = path,
                                  .create = options->create,
                                  .read_only = options->read_only,
                                  .write_buffer = options->write_buffer,
                                  .block_cache = options->block_cache,
                                  .log = options->log,
                                  .kept = options->kept};
    strid_status status = ops->open(&config, &directory->store, err);
    bool fresh = false;
    if (status == STRID_OK)
        status = directory_load(directory, &fresh, err);
    if (status == STRID_OK && fresh)
        status = options->create
                     ? make(directory, options, err)
                     : error_set(err, STRID_ENOTFOUND, "state", "%s holds no state of strid", url);
    if (status != STRID_OK) {
        directory_close(directory);
        return status;
    }
    *out = directory;
    return STRID_OK;
}

void directory_close(struct directory *directory)
{
    if (directory == NULL)
        return;
    if (directory->store != NULL)
        directory->ops->close(directory->store);
    for (uint32_t i = 0; i < directory->partition_count; i++) {
        memory_free(directory->partitions[i]->identity);
        memory_free(directory->partitions[i]->table);
        memory_free(directory->partitions[i]);
    }
    for (uint32_t i = 0; i <= DIRECTORY_STORES_MAX; i++)
        memory_free(directory->stores[i]);
    memory_free(directory->partitions);
    memory_free(directory->runs);
    memory_free(directory->url);
    memory_free(directory->pipeline);
    memory_free(directory->outline);
    fold_destroy(directory->fold);
    memory_free(directory);
}

struct directory_partition *directory_partition(struct directory *directory, const char *identity)
{
    uint32_t number = 0;
    for (uint32_t i = 0; i < directory->partition_count; i++) {
        struct directory_partition *known = directory->partitions[i];
        if (strcmp(known->identity, identity) == 0)
            return known;
        number = known->number >= number ? known->number + 1 : number;
    }
    struct directory_partition *partition = memory_alloc_zeroed(sizeof *partition);
    partition->identity = memory_copy_text(identity);
    partition->number = number;
    directory->partitions =
        memory_resize(directory->partitions,
                      (directory->partition_count + 1) * sizeof(struct directory_partition *));
    directory->partitions[directory->partition_count++] = partition;
    return partition;
}

uint8_t directory_find_store(const struct directory *directory, const char *name)
{
    for (uint32_t i = 1; i <= DIRECTORY_STORES_MAX; i++)
        if (directory->stores[i] != NULL && strcmp(directory->stores[i], name) == 0)
            return (uint8_t)i;
    return 0;
}

strid_status directory_store(struct directory *directory, const char *name, uint8_t *number,
                             strid_error *err)
{
    *number = directory_find_store(directory, name);
    for (uint8_t i = 1; *number == 0 && i <= DIRECTORY_STORES_MAX; i++)
        if (directory->stores[i] == NULL) {
            directory->stores[i] = memory_copy_text(name);
            *number = i;
        }
    if (*number == 0)
        return error_set(err, STRID_ELIMIT, "state", "%s: more than %d stores in one directory",
                         directory->url, DIRECTORY_STORES_MAX);
    return STRID_OK;
}

static bool saw_state(void *user, strid_bytes key, strid_bytes value)
{
    (void)key;
    (void)value;
    *(bool *)user = false;
    return false;
}

strid_status directory_set_ordered(struct directory *directory, uint8_t store, bool ordered,
                                   strid_error *err)
{
    STRID_ASSERT(store >= 1 && store <= DIRECTORY_STORES_MAX && directory->fold != NULL);
    if (directory->store_ordered[store] == ordered)
        return STRID_OK;
    fold_sort(directory->fold);
    bool empty = fold_count(directory->fold) == 0;
    if (directory->store_stored[store] && empty)
        STRID_TRY(directory->ops->scan(directory->store, strid_bytes_of_text("s"),
                                       strid_bytes_of_text("t"), saw_state, &empty, err));
    if (directory->store_stored[store] && !empty)
        return error_set(
            err, STRID_ESTATE, "state",
            "%s was made with store \"%s\" %s, the pipeline declares it %s; declare it "
            "as it was, or give the store another name",
            directory->url, directory->stores[store], ordered ? "not ordered" : "ordered",
            ordered ? "ordered" : "not ordered");
    directory->store_ordered[store] = ordered;
    directory->store_stored[store] = false; /* the next run writes it anew */
    return STRID_OK;
}

void directory_set_expires(struct directory *directory, uint8_t store)
{
    STRID_ASSERT(store >= 1 && store <= DIRECTORY_STORES_MAX);
    if (directory->store_expires[store])
        return;
    directory->store_expires[store] = true;
    directory->store_stored[store] = false; /* the next run writes it anew */
}

strid_status directory_raise_tables(struct directory *directory, strid_error *err)
{
    for (uint32_t i = 0; i < fold_progress_count(directory->fold); i++) {
        const struct fold_progress *progress = fold_progress_at(directory->fold, i);
        const struct directory_run *run = NULL;
        for (uint32_t r = 0; r < directory->run_count; r++)
            if (directory->runs[r].run == progress->run)
                run = &directory->runs[r];
        struct directory_partition *partition = NULL;
        for (uint32_t p = 0; p < directory->partition_count; p++)
            if (directory->partitions[p]->number == progress->partition)
                partition = directory->partitions[p];
        if (run == NULL || partition == NULL)
            return error_set(err, STRID_ECORRUPT, "state",
                             "%s: a block names run %llu and partition %u, which are not recorded; "
                             "restore the directory from a backup",
                             directory->url, (unsigned long long)progress->run,
                             progress->partition);
        for (uint32_t v = 0; v < KEY_VSHARDS; v++)
            if (run->worker_of[v] == progress->worker)
                directory_table_raise(partition, v, progress->position);
    }
    return STRID_OK;
}

static void put_partition(struct batch *batch, struct buffer *key, struct buffer *value,
                          struct directory_partition *partition)
{
    if (!partition->stored) {
        meta_key(key, "partition", strid_bytes_of_text(partition->identity));
        meta_value_begin(value);
        buffer_put_u32(value, partition->number);
        put_value(batch, key, value);
        partition->stored = true;
    }
    if (partition->fingerprint_len > 0) {
        meta_key_number(key, "fingerprint", partition->number, 4);
        meta_value_begin(value);
        buffer_put(value, partition->fingerprint, partition->fingerprint_len);
        put_value(batch, key, value);
    }
    if (partition->table == NULL)
        return;
    buffer_clear(key);
    key->len = key_put_table(buffer_reserve(key, KEY_FIXED_MAX), partition->number);
    meta_value_begin(value);
    buffer_put(value, partition->table->known, sizeof partition->table->known);
    for (uint32_t v = 0; v < KEY_VSHARDS; v++) {
        buffer_put_u64(value, partition->table->applied[v].high);
        buffer_put_u64(value, partition->table->applied[v].low);
    }
    put_value(batch, key, value);
}

static void put_through(struct batch *batch, struct buffer *key, struct buffer *value,
                        uint64_t through)
{
    meta_key(key, "through", strid_bytes_of(NULL, 0));
    meta_value_begin(value);
    buffer_put_u64(value, through);
    put_value(batch, key, value);
}

static void delete_blocks(struct batch *batch, uint64_t first, uint64_t last)
{
    uint8_t key[KEY_FIXED_MAX];
    for (uint64_t number = first; number <= last; number++)
        batch_delete(batch, strid_bytes_of(key, key_put_block(key, number)));
}

static void put_text(struct batch *batch, const char *kind, const char *text, bool *stored)
{
    struct buffer key = {0}, value = {0};
    if (text == NULL || *stored)
        return;
    meta_key(&key, kind, strid_bytes_of(NULL, 0));
    meta_value_begin(&value);
    buffer_put(&value, text, strlen(text));
    put_value(batch, &key, &value);
    *stored = true;
    buffer_fini(&key);
    buffer_fini(&value);
}

/* Everything that a run starts from, in one write. */
static void put_run(struct directory *directory, struct batch *batch, uint32_t workers)
{
    struct buffer key = {0}, value = {0};
    if (directory->format != DIRECTORY_FORMAT)
        put_directory(directory, batch, &key, &value);
    for (uint32_t p = 0; p < directory->partition_count; p++) {
        struct directory_partition *partition = directory->partitions[p];
        put_partition(batch, &key, &value, partition);
        for (uint32_t w = 0; w < directory->run.workers; w++) {
            buffer_clear(&key);
            key.len =
                key_put_run_progress(buffer_reserve(&key, KEY_FIXED_MAX), partition->number, w);
            if (!MUTANT(MUTANT_STALE_PROGRESS))
                batch_delete(batch, buffer_bytes(&key));
        }
    }
    for (uint8_t i = 1; i <= DIRECTORY_STORES_MAX; i++)
        if (directory->stores[i] != NULL && !directory->store_stored[i]) {
            meta_key(&key, "store", strid_bytes_of_text(directory->stores[i]));
            meta_value_begin(&value);
            buffer_put_u32(&value, i);
            buffer_put_u8(&value, directory->store_ordered[i]);
            buffer_put_u8(&value, directory->store_expires[i]);
            put_value(batch, &key, &value);
            directory->store_stored[i] = true;
        }
    put_text(batch, "pipeline", directory->pipeline, &directory->pipeline_stored);
    put_text(batch, "outline", directory->outline, &directory->outline_stored);
    for (uint32_t r = 0; r < directory->run_count; r++) {
        meta_key_number(&key, "run", directory->runs[r].run, 8);
        batch_delete(batch, buffer_bytes(&key));
    }
    delete_blocks(batch, directory->through + 1, directory->last_number);
    put_through(batch, &key, &value, directory->last_number);
    directory->run.run++;
    directory->run.workers = workers;
    meta_key_number(&key, "run", directory->run.run, 8);
    meta_value_begin(&value);
    buffer_put_u32(&value, workers);
    buffer_put(&value, directory->run.worker_of, KEY_VSHARDS);
    put_value(batch, &key, &value);
    buffer_fini(&key);
    buffer_fini(&value);
}

static strid_status materialise_rest(struct directory *directory, strid_error *err)
{
    fold_set_now(directory->fold, directory->now_ms);
    fold_sort(directory->fold);
    if (fold_count(directory->fold) == 0)
        return STRID_OK;
    /* What is ingested is durable at once, so what it stands on has to be. */
    strid_status status = MUTANT(MUTANT_RECOVER_WITHOUT_SYNC)
                              ? STRID_OK
                              : directory->ops->sync(directory->store, err);
    CRASH_POINT("recover_before_ingest");
    if (status == STRID_OK)
        status = directory->ops->bulk_load(directory->store, fold_next, directory->fold, err);
    CRASH_POINT("recover_after_ingest");
    return status;
}

strid_status directory_begin_run(struct directory *directory, uint32_t workers,
                                 const uint8_t worker_of[KEY_VSHARDS], strid_error *err)
{
    STRID_ASSERT(directory->fold != NULL && workers > 0);
    if (MUTANT(MUTANT_RUN_MAP) && directory->run_count > 0)
        memcpy(directory->runs[0].worker_of, worker_of, KEY_VSHARDS);
    strid_status status = directory_raise_tables(directory, err);
    if (status == STRID_OK)
        status = materialise_rest(directory, err);
    if (status != STRID_OK)
        return status;
    struct batch batch = {0};
    const uint32_t format = directory->format;
    memcpy(directory->run.worker_of, worker_of, KEY_VSHARDS);
    put_run(directory, &batch, workers);
    status = batch_apply(&batch, directory->ops, directory->store, err);
    CRASH_POINT("recover_before_sync");
    if (status == STRID_OK)
        status = directory->ops->sync(directory->store, err);
    CRASH_POINT("recover_after_sync");
    batch_fini(&batch);
    if (status != STRID_OK)
        return status;
    if (format != directory->format)
        log_info(directory->log, "state",
                 "%s had format %" PRIu32 " and has format %" PRIu32 " from now on: earlier "
                 "versions of strid refuse it",
                 directory->url, format, directory->format);
    directory->through = directory->last_number;
    directory->synced = directory->last_number;
    directory->redo_blocks = directory->redo_bytes = 0;
    fold_destroy(directory->fold);
    directory->fold = NULL;
    directory->empty_state = true;
    return directory->ops->scan(directory->store, strid_bytes_of_text("s"),
                                strid_bytes_of_text("t"), saw_state, &directory->empty_state, err);
}

void directory_put_low(struct batch *batch, uint32_t partition, strid_position low, uint64_t synced)
{
    struct buffer key = {0}, value = {0};
    meta_key_number(&key, "low", partition, 4);
    meta_value_begin(&value);
    buffer_put_u64(&value, low.high);
    buffer_put_u64(&value, low.low);
    buffer_put_u64(&value, synced);
    put_value(batch, &key, &value);
    buffer_fini(&key);
    buffer_fini(&value);
}

void directory_put_cache(struct batch *batch, uint64_t hits, uint64_t misses)
{
    struct buffer key = {0}, value = {0};
    meta_key(&key, "cache", strid_bytes_of(NULL, 0));
    meta_value_begin(&value);
    buffer_put_u64(&value, hits);
    buffer_put_u64(&value, misses);
    put_value(batch, &key, &value);
    buffer_fini(&key);
    buffer_fini(&value);
}

void directory_put_materialised(struct batch *batch, const struct fold *fold, uint64_t first,
                                uint64_t through)
{
    struct buffer key = {0}, value = {0};
    uint32_t count = MUTANT(MUTANT_PROGRESS_LOST) ? 0 : fold_progress_count(fold);
    for (uint32_t i = 0; i < count; i++) {
        const struct fold_progress *progress = fold_progress_at(fold, i);
        buffer_clear(&key);
        key.len = key_put_run_progress(buffer_reserve(&key, KEY_FIXED_MAX), progress->partition,
                                       progress->worker);
        meta_value_begin(&value);
        buffer_put_u64(&value, progress->position.high);
        buffer_put_u64(&value, progress->position.low);
        put_value(batch, &key, &value);
    }
    delete_blocks(batch, first, through);
    put_through(batch, &key, &value, through);
    buffer_fini(&key);
    buffer_fini(&value);
}

void directory_format_id(const struct directory *directory, char out[DIRECTORY_ID_BYTES * 2 + 1])
{
    for (size_t i = 0; i < DIRECTORY_ID_BYTES; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", directory->id[i]);
}
