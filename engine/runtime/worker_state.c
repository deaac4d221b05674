/* Bringing the state of a chunk into the cache before its first handler runs: cache lines by
 * prefetch, entries that are not there by one batched read. Absent keys are remembered, too.
 * @thread worker */
#include "runtime/worker.h"

#include "base/assert.h"
#include "base/error.h"
#include "runtime/worker_part.h"

/* Each record is met three times, so many records apart: its line of the cache's index is asked
 * for, then the entry that the index names, then both have arrived. Closer, and it waits for
 * memory; farther, and what has arrived is pushed out again. */
enum { ENTRY_BEHIND = 12, FIND_BEHIND = 24 };

struct miss {
    struct cache_key key;
    size_t at, len;  /* of its encoded key in fetch_bytes */
    uint32_t record; /* of the chunk in hand */
};

static struct cache_key key_of(const struct worker *worker, const struct chunk *chunk,
                               const struct chunk_slot *slot, uint8_t store)
{
    const struct partition *partition = &worker->run->partitions[chunk->partition];
    struct cache_key key = {.key = slot->record.key, .hash = (uint32_t)(slot->hash >> 32)};
    /* `store` says whether the route met it with or without a record key; the record decides. */
    key.store = (uint8_t)(store & ~KEY_STORE_KEYLESS);
    if (slot->record.key.data == NULL) {
        key.key = strid_bytes_of(partition->key_bytes, sizeof partition->key_bytes);
        key.store |= KEY_STORE_KEYLESS;
    }
    return key;
}

static inline void prefetch_index(struct worker *worker, const struct chunk_slot *slot,
                                  struct worker_found *found)
{
    struct route *route = route_find(&worker->routes, slot->record.type);
    *found = (struct worker_found){.route = route, .hash = (uint32_t)(slot->hash >> 32)};
    __builtin_prefetch(slot->record.key.data); /* the reader wrote it on another core */
    for (uint32_t s = 0; s < route->store_count; s++)
        cache_prefetch_slot(&worker->cache, found->hash, route->stores[s]);
}

static inline void prefetch_entry(const struct worker *worker, const struct worker_found *found)
{
    const struct route *route = found->route;
    for (uint32_t s = 0; s < route->store_count; s++)
        cache_prefetch_entry(&worker->cache, found->hash, route->stores[s]);
}

static void add_miss(struct worker *worker, const struct cache_key *key, uint32_t record)
{
    struct miss miss = {.key = *key, .at = worker->fetch_bytes.len, .record = record};
    struct key_state state = {
        .hash = key->hash, .sub_len = key->sub_len, .store = key->store, .key = key->key};
    uint8_t *to = buffer_reserve(&worker->fetch_bytes, KEY_STATE_HEADER + key->key.len);
    miss.len = key_put_state(to, &state);
    worker->fetch_bytes.len += miss.len;
    buffer_put(&worker->fetch_misses, &miss, sizeof miss);
}

static struct miss miss_at(const struct worker *worker, size_t index)
{
    struct miss miss;
    memcpy(&miss, worker->fetch_misses.data + index * sizeof miss, sizeof miss);
    return miss;
}

static void take_value(struct worker *worker, const struct cache_key *key, strid_bytes bytes)
{
    if (cache_find_sub(&worker->cache, key) != NULL)
        return; /* the same key twice in one chunk */
    struct key_value value = {.kind = STRID_STATE_ABSENT};
    if (bytes.data != NULL && !key_get_value(bytes, &value)) {
        strid_error err = STRID_ERROR_INIT;
        (void)error_set(&err, STRID_ECORRUPT, "state",
                        "a value of %s fails its checksum; restore the directory from a backup",
                        worker->run->directory->url);
        run_fail(worker->run, &err);
        return;
    }
    (void)cache_add(&worker->cache, key, &value);
}

/* All that the first record of a part needs, whatever it takes; then as much as there is room for.
 */
static bool take_found(void *user, size_t index, strid_bytes bytes)
{
    struct worker *worker = user;
    struct miss miss = miss_at(worker, index);
    take_value(worker, &miss.key, bytes);
    worker->part.answered = (uint32_t)index + 1;
    return !worker->part.in_chunk || miss.record == worker->part.first ||
           !worker_part_is_full(worker);
}

static strid_status read_misses(struct worker *worker, strid_error *err)
{
    const struct directory *directory = worker->run->directory;
    size_t count = worker->fetch_misses.len / sizeof(struct miss);
    buffer_clear(&worker->fetch_keys);
    worker->part.answered = 0;
    for (size_t i = 0; i < count; i++) {
        struct miss miss = miss_at(worker, i);
        strid_bytes key = strid_bytes_of(worker->fetch_bytes.data + miss.at, miss.len);
        buffer_put(&worker->fetch_keys, &key, sizeof key);
    }
    strid_status status = directory->ops->get_many(
        directory->store, (const strid_bytes *)(void *)worker->fetch_keys.data, count, take_found,
        worker, err);
    worker_count(&worker->counters.misses, worker->part.answered);
    if (worker->part.in_chunk && worker->part.answered < count)
        worker->part.fetched = miss_at(worker, worker->part.answered).record;
    buffer_clear(&worker->fetch_misses);
    buffer_clear(&worker->fetch_bytes);
    return status == STRID_OK && run_failed(worker->run) ? STRID_ECORRUPT : status;
}

static uint32_t owned_vshards(const struct worker *worker)
{
    return KEY_VSHARDS / worker->run->worker_count + 1;
}

static bool load_entry(void *user, strid_bytes encoded_key, strid_bytes encoded_value)
{
    struct worker *worker = user;
    struct key_state state;
    struct key_value value;
    if (!key_get_state(encoded_key, &state) || !key_get_value(encoded_value, &value)) {
        worker->load_damaged = true;
        return false;
    }
    struct cache_key key = cache_key_from(&state);
    cache_stage(&worker->cache, &key, &value);
    return true;
}

/* Where all state fits the caches, the first miss in a vshard brings all of it: one scan instead of
 * a random read per key, after which absent keys are known to be absent. false: it could not be
 * read; the ordinary way tells why. */
static bool load_vshard(struct worker *worker, uint32_t vshard)
{
    const struct directory *directory = worker->run->directory;
    uint8_t from[] = {'s', (uint8_t)vshard}, to[] = {'s', (uint8_t)(vshard + 1)};
    strid_bytes end = vshard == KEY_VSHARDS - 1 ? strid_bytes_of_text("t") : strid_bytes_of(to, 2);
    worker->load_damaged = false;
    strid_status status = directory->ops->scan(directory->store, strid_bytes_of(from, 2), end,
                                               load_entry, worker, NULL);
    cache_stage_end(&worker->cache);
    if (status != STRID_OK || worker->load_damaged)
        return false;
    cache_set_complete(&worker->cache, vshard);
    worker->loaded_vshards++;
    if (worker->loaded_vshards == 1) /* hashes are even: the others will be as large */
        cache_expect(&worker->cache, worker->cache.entry_count * owned_vshards(worker));
    return true;
}

/* As long as what was loaded so far says that all of it will fit. */
static bool loads_vshards(const struct worker *worker)
{
    const struct cache *cache = &worker->cache;
    if (!worker->run->state_may_fit || cache->evictions > 0)
        return false;
    return worker->loaded_vshards == 0 ||
           cache_used_bytes(cache) / worker->loaded_vshards * owned_vshards(worker) <=
               cache->bytes_max / 20 * 19;
}

bool worker_load(struct worker *worker, uint32_t hash)
{
    return cache_is_complete(&worker->cache, hash) ||
           (loads_vshards(worker) && load_vshard(worker, hash >> 24));
}

/* It is not in the cache, and may be in the store. */
static void find_elsewhere(struct worker *worker, struct worker_found *found,
                           const struct cache_key *key)
{
    if (cache_used_bytes(&worker->cache) < worker->load_until && loads_vshards(worker) &&
        load_vshard(worker, key->hash >> 24))
        found->entry = NULL; /* it may be there now; the handler looks it up */
    else
        add_miss(worker, key, (uint32_t)(found - worker->found));
}

/* What is here is remembered, so that the handler's own look-up finds it at once. Returns how many
 * look-ups it took. */
static inline uint32_t find(struct worker *worker, const struct chunk *chunk,
                            const struct chunk_slot *slot, struct worker_found *found)
{
    const struct route *route = found->route;
    if (slot->fault != NULL)
        return 0;
    for (uint32_t s = 0; s < route->store_count; s++) {
        struct cache_key key = key_of(worker, chunk, slot, route->stores[s]);
        struct cache_entry *entry = cache_find(&worker->cache, &key);
        if (s == 0)
            found->entry = entry;
        if (__builtin_expect(entry == NULL && !cache_is_complete(&worker->cache, key.hash), 0))
            find_elsewhere(worker, found, &key);
    }
    return route->store_count;
}

strid_status worker_fetch(struct worker *worker, struct chunk *chunk, strid_error *err)
{
    struct worker_part *part = &worker->part;
    const uint32_t first = part->next, count = chunk->count - first;
    const struct chunk_slot *slots = chunk->slots + first;
    struct worker_found *found = worker->found + first;
    uint64_t lookups = 0;
    part->first = first;
    part->fetched = chunk->count;
    route_table_trim(&worker->routes); /* no slot holds a route between two parts */
    worker->fetch_moves = worker->cache.moves;
    worker->load_until = cache_used_bytes(&worker->cache) + worker->run->options.load_bytes;
    for (uint32_t i = 0; i < count + FIND_BEHIND; i++) {
        if (i < count)
            prefetch_index(worker, &slots[i], &found[i]);
        uint32_t at = i - ENTRY_BEHIND; /* wraps round before the first, and is too large then */
        if (at < count)
            prefetch_entry(worker, &found[at]);
        at = i - FIND_BEHIND;
        if (at < count)
            lookups += find(worker, chunk, &slots[at], &found[at]);
    }
    if (first == 0) /* else they were counted with the first part */
        worker_count(&worker->counters.lookups, lookups);
    if (worker->fetch_misses.len == 0)
        return STRID_OK;
    worker_part_begin(worker);
    part->in_chunk = true;
    strid_status status = read_misses(worker, err);
    part->in_chunk = false;
    return status;
}

strid_status worker_fetch_keys(struct worker *worker, const struct cache_key *keys, uint32_t count,
                               strid_error *err)
{
    buffer_clear(&worker->fetch_misses);
    buffer_clear(&worker->fetch_bytes);
    for (uint32_t i = 0; i < count; i++)
        if (cache_find_sub(&worker->cache, &keys[i]) == NULL &&
            !cache_is_complete(&worker->cache, keys[i].hash))
            add_miss(worker, &keys[i], 0);
    return worker->fetch_misses.len == 0 ? STRID_OK : read_misses(worker, err);
}

struct cache_entry *worker_fetch_one(struct worker *worker, const struct cache_key *key,
                                     strid_error *err)
{
    buffer_clear(&worker->fetch_misses);
    buffer_clear(&worker->fetch_bytes);
    add_miss(worker, key, 0);
    strid_status status = read_misses(worker, err);
    worker_part_look(worker);
    return status == STRID_OK ? cache_find_sub(&worker->cache, key) : NULL;
}
