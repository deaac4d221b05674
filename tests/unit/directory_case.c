#include "directory_case.h"

#include <criterion/criterion.h>

#include <stdio.h>

#include "state/block.h"

static struct store *shared;

static strid_status case_open(const struct store_config *config, struct store **out,
                              strid_error *err)
{
    strid_status status = STRID_OK;
    if (shared == NULL)
        status = store_memory.open(config, &shared, err);
    *out = shared;
    return status;
}

static void case_close(struct store *store) { (void)store; }

static strid_status case_apply(struct store *store, const struct store_op *ops, size_t count,
                               strid_error *err)
{
    return store_memory.apply(store, ops, count, err);
}

static strid_status case_sync(struct store *store, strid_error *err)
{
    return store_memory.sync(store, err);
}

static strid_status case_get_many(struct store *store, const strid_bytes *keys, size_t count,
                                  store_value_fn fn, void *user, strid_error *err)
{
    return store_memory.get_many(store, keys, count, fn, user, err);
}

static strid_status case_scan(struct store *store, strid_bytes from, strid_bytes to,
                              store_scan_fn fn, void *user, strid_error *err)
{
    return store_memory.scan(store, from, to, fn, user, err);
}

static strid_status case_bulk_load(struct store *store, store_next_fn next, void *user,
                                   strid_error *err)
{
    return store_memory.bulk_load(store, next, user, err);
}

static void case_figures(struct store *store, struct store_figures *out)
{
    store_memory.figures(store, out);
}

const struct store_ops directory_case_ops = {.abi_version = STORE_ABI_VERSION,
                                             .scheme = "case",
                                             .open = case_open,
                                             .close = case_close,
                                             .apply = case_apply,
                                             .sync = case_sync,
                                             .get_many = case_get_many,
                                             .scan = case_scan,
                                             .bulk_load = case_bulk_load,
                                             .figures = case_figures};

static void keep_log(void *user, strid_log_level level, const char *logger, const char *message)
{
    struct directory_case *at = user;
    (void)level;
    (void)snprintf(at->last_log, sizeof at->last_log, "%s: %s", logger, message);
    at->logs++;
}

void directory_case_init(struct directory_case *at)
{
    *at = (struct directory_case){0};
    log_init(&at->log, keep_log, at);
}

void directory_case_fini(struct directory_case *at)
{
    directory_close(at->directory);
    at->directory = NULL;
    if (shared != NULL)
        store_memory.close(shared);
    shared = NULL;
    log_fini(&at->log);
}

strid_status directory_case_open(struct directory_case *at)
{
    struct directory_options options = {
        .create = true, .new_seed = 42, .new_id = {1, 2, 3, 0xff}, .log = &at->log};
    directory_close(at->directory);
    at->directory = NULL;
    at->err = (strid_error)STRID_ERROR_INIT;
    return directory_open("case:test", &directory_case_ops, &options, &at->directory, &at->err);
}

void directory_case_run(struct directory_case *at, uint32_t workers)
{
    uint8_t worker_of[KEY_VSHARDS];
    for (uint32_t v = 0; v < KEY_VSHARDS; v++)
        worker_of[v] = (uint8_t)(v % workers);
    cr_assert_eq(directory_case_open(at), STRID_OK, "%s", at->err.message);
    (void)directory_partition(at->directory, "partition");
    uint8_t number = 0;
    cr_assert_eq(directory_store(at->directory, "store", &number, &at->err), STRID_OK);
    cr_assert_eq(directory_begin_run(at->directory, workers, worker_of, &at->err), STRID_OK, "%s",
                 at->err.message);
}

void directory_case_put(strid_bytes key, strid_bytes value)
{
    struct store_op op = {.key = key, .value = value};
    struct store_config config = {.path = "", .create = true};
    if (shared == NULL)
        cr_assert_eq(store_memory.open(&config, &shared, NULL), STRID_OK);
    cr_assert_eq(store_memory.apply(shared, &op, 1, NULL), STRID_OK);
}

static bool copy_value(void *user, size_t index, strid_bytes value)
{
    (void)index;
    if (value.data == NULL)
        return true;
    (void)buffer_reserve(user, value.len + 1); /* an empty value is one, too */
    buffer_put_bytes(user, value);
    return true;
}

void directory_case_put_entry(const struct key_state *key, const struct key_value *value)
{
    uint8_t name[KEY_STATE_HEADER + 64];
    struct buffer bytes = {0};
    cr_assert_leq(key->key.len, 64u);
    key_put_value(&bytes, value);
    directory_case_put(strid_bytes_of(name, key_put_state(name, key)), buffer_bytes(&bytes));
    buffer_fini(&bytes);
}

bool directory_case_get(strid_bytes key, struct buffer *value)
{
    struct buffer found = {0};
    cr_assert_eq(store_memory.get_many(shared, &key, 1, copy_value, &found, NULL), STRID_OK);
    buffer_fini(value);
    *value = found;
    return found.data != NULL;
}

static bool count_one(void *user, strid_bytes key, strid_bytes value)
{
    (void)key;
    (void)value;
    ++*(size_t *)user;
    return true;
}

size_t directory_case_count(const char *from, const char *to)
{
    size_t count = 0;
    cr_assert_eq(store_memory.scan(shared, strid_bytes_of_text(from), strid_bytes_of_text(to),
                                   count_one, &count, NULL),
                 STRID_OK);
    return count;
}

static struct key_state state_key(const char *key)
{
    return (struct key_state){.hash = 0x05000000, .store = 1, .key = strid_bytes_of_text(key)};
}

void directory_case_block(struct directory_case *at, const struct directory_case_block *block)
{
    struct buffer bytes = {0};
    uint8_t key[KEY_FIXED_MAX];
    uint32_t partition = directory_partition(at->directory, "partition")->number;
    block_begin(&bytes);
    block_put_progress(
        &bytes, &(struct block_progress){.partition = partition, .position = {0, block->position}});
    if (block->key != NULL) {
        struct key_state state = state_key(block->key);
        struct key_value value = {.kind = STRID_STATE_I64,
                                  .bytes = strid_bytes_of(&block->value, 8)};
        if (block->value == INT64_MIN)
            value = (struct key_value){.kind = STRID_STATE_ABSENT};
        block_put_state(&bytes, &state, &value);
    }
    block_end(&bytes, at->directory->run.run, block->worker, 1, 1, block->key != NULL);
    block_number(&bytes, block->number, block->synced);
    directory_case_put(strid_bytes_of(key, key_put_block(key, block->number)),
                       buffer_bytes(&bytes));
    buffer_fini(&bytes);
}

int64_t directory_case_value(const char *key)
{
    uint8_t encoded[KEY_STATE_HEADER + 64];
    struct key_state state = state_key(key);
    struct buffer bytes = {0};
    struct key_value value;
    int64_t number = INT64_MIN;
    if (directory_case_get(strid_bytes_of(encoded, key_put_state(encoded, &state)), &bytes)) {
        cr_assert(key_get_value(buffer_bytes(&bytes), &value));
        memcpy(&number, value.bytes.data, 8);
    }
    buffer_fini(&bytes);
    return number;
}
