#include "runtime/worker_store.h"

#include "base/assert.h"
#include "base/error.h"
#include "runtime/sub_scan.h"
#include "runtime/worker_part.h"

/* Key and subkey side by side, as the cache and the store have them; lives until the next call. */
static struct cache_key name_of(struct worker *worker, const struct worker_store_key *key)
{
    STRID_ASSERT(key->key.len <= KEY_RECORD_KEY_MAX && key->subkey.len <= KEY_SUBKEY_MAX);
    struct cache_key name = {.key = key->key,
                             .hash = key->hash,
                             .store = key->store,
                             .sub_len = (uint16_t)key->subkey.len};
    if (key->subkey.len == 0)
        return name;
    buffer_clear(&worker->sub_name);
    buffer_put_bytes(&worker->sub_name, key->key);
    buffer_put_bytes(&worker->sub_name, key->subkey);
    name.key = buffer_bytes(&worker->sub_name);
    return name;
}

strid_status worker_store_find(struct worker *worker, const struct worker_store_key *key,
                               struct cache_entry **entry, strid_error *err)
{
    struct cache_key name = name_of(worker, key);
    *entry = cache_find_sub(&worker->cache, &name);
    if (*entry != NULL || cache_is_complete(&worker->cache, key->hash))
        return STRID_OK;
    if (worker_load(worker, key->hash)) {
        *entry = cache_find_sub(&worker->cache, &name);
        return STRID_OK;
    }
    *entry = worker_fetch_one(worker, &name, err);
    if (*entry != NULL)
        return STRID_OK;
    return err->status != STRID_OK ? err->status : STRID_ECORRUPT; /* which it has told itself */
}

bool worker_store_get(struct worker *worker, const struct worker_store_key *key,
                      struct key_value *value)
{
    strid_error err = STRID_ERROR_INIT;
    struct cache_entry *entry;
    *value = (struct key_value){.kind = STRID_STATE_ABSENT};
    if (worker_store_find(worker, key, &entry, &err) != STRID_OK) {
        run_fail(worker->run, &err);
        return false;
    }
    if (entry != NULL)
        *value = (struct key_value){.kind = cache_kind(entry),
                                    .bytes = strid_bytes_of(cache_value(entry), entry->value_len),
                                    .expiry_ms = entry->expiry_ms};
    return true;
}

void worker_store_changed(struct worker *worker)
{
    if (!worker->dirty && worker->open_chunks == 0)
        worker->opened_at_ns = clock_monotonic_ns(worker->run->clock);
    worker->dirty = true;
    worker_part_look(worker);
}

void worker_store_put(struct worker *worker, const struct worker_store_key *key,
                      const struct key_value *value)
{
    struct cache_key name = name_of(worker, key);
    STRID_DASSERT(worker->run->worker_of[key->hash >> 24] == worker->index);
    (void)cache_set(&worker->cache, &name, value);
    worker_store_changed(worker);
}

void worker_store_delete(struct worker *worker, const struct worker_store_key *key)
{
    worker_store_put(worker, key, &(struct key_value){.kind = STRID_STATE_ABSENT});
}

bool worker_store_scan(struct worker *worker, const struct worker_store_key *key, strid_bytes from,
                       strid_bytes to, strid_state_scan_fn fn, void *user)
{
    strid_error err = STRID_ERROR_INIT;
    struct sub_scan scan = {.worker = worker,
                            .key = key->key,
                            .hash = key->hash,
                            .store = key->store,
                            .from = from,
                            .to = to,
                            .fn = fn,
                            .user = user};
    if (sub_scan_run(&scan, &err) == STRID_OK)
        return true;
    run_fail(worker->run, &err);
    return false;
}

struct each {
    struct worker *worker;
    worker_store_each_fn fn;
    void *user;
    bool ended, damaged;
};

static void each_cached(struct each *each, uint8_t store)
{
    const struct cache *cache = &each->worker->cache;
    for (size_t i = 0; i < cache->slot_count && !each->ended; i++) {
        if (cache->slots[i] == 0)
            continue;
        const struct cache_entry *entry = slab_at(&cache->slab, (uint32_t)cache->slots[i] - 1);
        if ((entry->store & ~KEY_STORE_KEYLESS) != store || cache_kind(entry) == STRID_STATE_ABSENT)
            continue;
        struct key_state key = cache_key_of(entry);
        struct key_value value = {.kind = cache_kind(entry),
                                  .bytes = strid_bytes_of(cache_value(entry), entry->value_len),
                                  .expiry_ms = entry->expiry_ms};
        each->ended = !each->fn(each->user, &key, &value);
    }
}

static bool take_stored(void *user, strid_bytes encoded_key, strid_bytes encoded_value)
{
    struct each *each = user;
    struct key_state state;
    struct key_value value;
    if (!key_get_state(encoded_key, &state) || !key_get_value(encoded_value, &value)) {
        each->damaged = true;
        return false;
    }
    struct cache_key key = cache_key_from(&state);
    if (cache_find_sub(&each->worker->cache, &key) == NULL) /* else it was seen there */
        each->ended = !each->fn(each->user, &state, &value);
    return !each->ended;
}

static strid_status each_stored(struct each *each, uint32_t vshard, uint8_t store, strid_error *err)
{
    const struct directory *directory = each->worker->run->directory;
    uint8_t from[] = {'s', (uint8_t)vshard, store};
    uint8_t to[] = {'s',       (uint8_t)vshard, store,     UINT8_MAX,
                    UINT8_MAX, UINT8_MAX,       UINT8_MAX, UINT8_MAX}; /* no key is as long */
    strid_status status =
        directory->ops->scan(directory->store, strid_bytes_of(from, sizeof from),
                             strid_bytes_of(to, sizeof to), take_stored, each, err);
    if (status == STRID_OK && each->damaged)
        status = error_set(err, STRID_ECORRUPT, "state",
                           "an entry of %s fails its checksum; restore the directory from a backup",
                           directory->url);
    return status;
}

static bool is_marked(const uint64_t *vshards, uint32_t vshard)
{
    return (vshards[vshard / 64] >> (vshard & 63) & 1) != 0;
}

bool worker_store_each_of(struct worker *worker, uint8_t store, const uint64_t *vshards,
                          worker_store_each_fn fn, void *user)
{
    const struct run *run = worker->run;
    struct each each = {.worker = worker, .fn = fn, .user = user};
    strid_error err = STRID_ERROR_INIT;
    strid_status status = STRID_OK;
    each_cached(&each, store);
    for (uint32_t v = 0; v < KEY_VSHARDS && status == STRID_OK && !each.ended; v++) {
        if (run->worker_of[v] != worker->index || cache_is_complete(&worker->cache, v << 24) ||
            !is_marked(vshards, v))
            continue;
        status = each_stored(&each, v, store, &err);
        if (status == STRID_OK && !each.ended)
            status = each_stored(&each, v, store | KEY_STORE_KEYLESS, &err);
    }
    if (status != STRID_OK)
        run_fail(worker->run, &err);
    return status == STRID_OK;
}

bool worker_store_each(struct worker *worker, uint8_t store, worker_store_each_fn fn, void *user)
{
    uint64_t all[KEY_VSHARDS / 64];
    memset(all, 0xff, sizeof all);
    return worker_store_each_of(worker, store, all, fn, user);
}

static struct worker_store_key count_key(uint8_t store, uint32_t vshard)
{
    return (struct worker_store_key){.store = store | KEY_STORE_KEYLESS,
                                     .hash = vshard << 24,
                                     .key = strid_bytes_of("", 0),
                                     .subkey = strid_bytes_of(NULL, 0)};
}

static int64_t count_of(const struct key_value *value)
{
    int64_t count = 0;
    if (value->kind == STRID_STATE_I64)
        memcpy(&count, value->bytes.data, sizeof count);
    return count;
}

void worker_store_count(struct worker *worker, uint8_t store, uint32_t hash, int64_t more)
{
    struct worker_store_key key = count_key(store, hash >> 24);
    struct key_value value;
    if (!worker_store_get(worker, &key, &value))
        return; /* the run has failed, nothing of it counts */
    int64_t count = count_of(&value) + more;
    STRID_ASSERT(count >= 0);
    value = (struct key_value){.kind = count == 0 ? STRID_STATE_ABSENT : STRID_STATE_I64,
                               .bytes = strid_bytes_of(&count, sizeof count)};
    worker_store_put(worker, &key, &value);
}

struct key_state worker_store_mark_key(uint8_t store, uint32_t vshard)
{
    struct worker_store_key key = count_key(store, vshard);
    return (struct key_state){.hash = key.hash, .store = key.store, .key = key.key};
}

void worker_store_mark(struct worker *worker, uint8_t store, uint32_t vshard, bool marked)
{
    const int64_t one = 1;
    struct worker_store_key key = count_key(store, vshard);
    struct key_value value = {.kind = STRID_STATE_ABSENT};
    if (marked)
        value =
            (struct key_value){.kind = STRID_STATE_I64, .bytes = strid_bytes_of(&one, sizeof one)};
    worker_store_put(worker, &key, &value);
}

bool worker_store_marked(struct worker *worker, uint8_t store, uint64_t vshards[KEY_VSHARDS / 64])
{
    const struct run *run = worker->run;
    struct cache_key keys[KEY_VSHARDS];
    uint32_t count = 0;
    strid_error err = STRID_ERROR_INIT;
    memset(vshards, 0, KEY_VSHARDS / 8);
    for (uint32_t v = 0; v < KEY_VSHARDS; v++) {
        struct worker_store_key key = count_key(store, v);
        if (run->worker_of[v] == worker->index)
            keys[count++] = name_of(worker, &key);
    }
    if (worker_fetch_keys(worker, keys, count, &err) != STRID_OK) {
        run_fail(worker->run, &err);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct cache_entry *entry = cache_find_sub(&worker->cache, &keys[i]);
        uint32_t vshard = keys[i].hash >> 24;
        if (entry != NULL && cache_kind(entry) != STRID_STATE_ABSENT)
            vshards[vshard / 64] |= UINT64_C(1) << (vshard & 63);
    }
    return true;
}

bool worker_store_each_counted(struct worker *worker, uint8_t store, worker_store_each_fn fn,
                               void *user)
{
    uint64_t vshards[KEY_VSHARDS / 64];
    return worker_store_marked(worker, store, vshards) &&
           worker_store_each_of(worker, store, vshards, fn, user);
}
