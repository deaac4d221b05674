#include "runtime/sub_scan.h"

#include "base/error.h"
#include "base/mutant.h"

struct walk {
    const struct sub_scan *scan;
    struct key_state prefix;     /* of the record key alone */
    const struct sub_node *node; /* next of the cache; NULL: none */
    size_t write;                /* next of the write set */
    struct buffer name, begin, end;
    bool ended; /* fn has seen enough */
    bool damaged;
};

static struct key_state key_at(const struct walk *walk, const struct sub_node *node)
{
    return cache_key_of(slab_at(&walk->scan->worker->cache.slab, node->cell));
}

static int compare(strid_bytes a, strid_bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Whether an entry of the cache is one of the range; those of one key lie side by side. */
static bool is_in_range(const struct walk *walk, const struct key_state *key)
{
    const struct sub_scan *scan = walk->scan;
    return key->hash == scan->hash && key->store == scan->store &&
           strid_bytes_equal(key_record_of(key), scan->key) &&
           (scan->to.data == NULL || compare(key_subkey_of(key), scan->to) < 0);
}

static void settle_node(struct walk *walk)
{
    if (walk->node == NULL)
        return;
    struct key_state key = key_at(walk, walk->node);
    if (!is_in_range(walk, &key))
        walk->node = NULL;
}

static void give(struct walk *walk, strid_bytes subkey, strid_state_kind kind, strid_bytes value,
                 int64_t expiry_ms)
{
    const struct sub_scan *scan = walk->scan;
    if (kind != STRID_STATE_ABSENT && !key_is_expired(expiry_ms, scan->worker->now_ms))
        walk->ended = !scan->fn(scan->user, subkey, kind, value);
}

static void give_node(struct walk *walk)
{
    const struct cache_entry *entry = slab_at(&walk->scan->worker->cache.slab, walk->node->cell);
    struct key_state key = cache_key_of(entry);
    walk->node = walk->node->next[0];
    give(walk, key_subkey_of(&key), cache_kind(entry),
         strid_bytes_of(cache_value(entry), entry->value_len), entry->expiry_ms);
    settle_node(walk);
}

/* What the cache and the write set have below `limit`; an absent limit: all. */
static void give_below(struct walk *walk, strid_bytes limit)
{
    const struct sub_scan *scan = walk->scan;
    while (!walk->ended && (walk->node != NULL || walk->write < scan->write_count)) {
        const struct sub_scan_write *write =
            walk->write < scan->write_count ? &scan->writes[walk->write] : NULL;
        struct key_state key = {0};
        int order = 1; /* below 0: the cache's is next; 0: both are, and the write wins */
        if (walk->node != NULL) {
            key = key_at(walk, walk->node);
            order = write == NULL ? -1 : compare(key_subkey_of(&key), write->subkey);
        }
        strid_bytes next = order < 0 ? key_subkey_of(&key) : write->subkey;
        if (limit.data != NULL && compare(next, limit) >= 0)
            return;
        if (order < 0) {
            give_node(walk);
            continue;
        }
        if (order == 0) {
            walk->node = walk->node->next[0];
            settle_node(walk);
        }
        walk->write++;
        give(walk, write->subkey, write->kind, write->value, 0);
    }
}

static bool is_pending(const struct walk *walk, strid_bytes subkey)
{
    const struct sub_scan *scan = walk->scan;
    if (walk->write < scan->write_count && compare(scan->writes[walk->write].subkey, subkey) == 0)
        return true;
    if (walk->node == NULL)
        return false;
    struct key_state key = key_at(walk, walk->node);
    return compare(key_subkey_of(&key), subkey) == 0;
}

static bool take_stored(void *user, strid_bytes encoded_key, strid_bytes encoded_value)
{
    struct walk *walk = user;
    struct key_state key;
    struct key_value value;
    if (!key_get_state(encoded_key, &key) || !key_get_value(encoded_value, &value)) {
        walk->damaged = true;
        return false;
    }
    if (key.sub_len == 0)
        return true; /* the plain entry */
    strid_bytes subkey = key_subkey_of(&key);
    give_below(walk, subkey);
    if (!walk->ended && !is_pending(walk, subkey))
        give(walk, subkey, value.kind, value.bytes, value.expiry_ms);
    return !walk->ended;
}

/* The key with a subkey, as the store has it. */
static void put_bound(struct walk *walk, struct buffer *out, strid_bytes subkey)
{
    buffer_clear(&walk->name);
    buffer_put_bytes(&walk->name, walk->scan->key);
    buffer_put_bytes(&walk->name, subkey);
    struct key_state key = walk->prefix;
    key.sub_len = (uint16_t)subkey.len;
    key.key = buffer_bytes(&walk->name);
    out->len = key_put_state(buffer_reserve(out, KEY_STATE_HEADER + key.key.len), &key);
}

/* The first key behind all that begin with these bytes: they begin with 's', so there is one. */
static void put_successor(struct buffer *bytes)
{
    while (bytes->data[bytes->len - 1] == UINT8_MAX)
        bytes->len--;
    bytes->data[bytes->len - 1]++;
}

static strid_status read_store(struct walk *walk, strid_error *err)
{
    const struct sub_scan *scan = walk->scan;
    const struct directory *directory = scan->worker->run->directory;
    put_bound(walk, &walk->begin, scan->from);
    put_bound(walk, &walk->end, scan->to);
    if (scan->to.data == NULL)
        put_successor(&walk->end);
    strid_status status = directory->ops->scan(directory->store, buffer_bytes(&walk->begin),
                                               buffer_bytes(&walk->end), take_stored, walk, err);
    if (status == STRID_OK && walk->damaged)
        status = error_set(err, STRID_ECORRUPT, "state",
                           "an entry of %s fails its checksum; restore the directory from a backup",
                           directory->url);
    return status;
}

strid_status sub_scan_run(const struct sub_scan *scan, strid_error *err)
{
    struct cache *cache = &scan->worker->cache;
    struct walk walk = {.scan = scan,
                        .prefix = {.hash = scan->hash, .store = scan->store, .key = scan->key}};
    strid_status status = STRID_OK;
    if (scan->to.data != NULL && compare(scan->from, scan->to) >= 0)
        return STRID_OK;
    bool complete = worker_load(scan->worker, scan->hash);
    put_bound(&walk, &walk.begin, scan->from);
    struct key_state from = walk.prefix;
    from.sub_len = (uint16_t)scan->from.len;
    from.key = buffer_bytes(&walk.name);
    if (!MUTANT(MUTANT_SCAN_STORE_ONLY))
        walk.node = sub_index_seek(&cache->subs, &cache->slab, &from);
    settle_node(&walk);
    if (!complete)
        status = read_store(&walk, err);
    if (status == STRID_OK)
        give_below(&walk, strid_bytes_of(NULL, 0));
    buffer_fini(&walk.name);
    buffer_fini(&walk.begin);
    buffer_fini(&walk.end);
    return status;
}
