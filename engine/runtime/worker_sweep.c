/* Deleting what outlived its time to live. Reads already take an expired entry for absent; this is
 * only about the room it takes. A pass walks over the cache and then over the stores with a TTL, as
 * far as the cache does not hold all of a vshard; what it finds becomes a deletion in the cache,
 * and so part of the next block, like any other.
 *
 * A deletion must not hit a newer value. The scan of the store sees what was materialised when it
 * began; whatever is newer than that is still in the cache, since only materialised entries leave
 * it, and only between two calls of this. So the cache is asked first.
 * @thread worker */
#include "base/assert.h"
#include "base/mutant.h"
#include "runtime/worker.h"

enum {
    STEP_CHUNKS = 16,       /* while busy, one step of the cache in so many chunks */
    STORE_STEP_CHUNKS = 64, /* and one of the store */
    STEP_SLOTS = 512,
    PAUSE_MIN_MS = 1000,
    PAUSE_MAX_MS = 3600000,
    PAUSES_IN_TTL = 8 /* expired entries take room for about an eighth of the TTL longer */
};

static void begin_pass(struct worker *worker)
{
    struct worker_sweep *sweep = &worker->sweep;
    sweep->running = true;
    sweep->store_done = sweep->left_seen = false;
    sweep->slots_left = worker->cache.slot_count;
    sweep->vshard = sweep->store = 0;
    buffer_clear(&sweep->from);
}

static void end_pass(struct worker *worker)
{
    int64_t pause_ms = worker->run->ttl_min_ms / PAUSES_IN_TTL;
    pause_ms = pause_ms < PAUSE_MIN_MS ? PAUSE_MIN_MS : pause_ms;
    pause_ms = pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms;
    worker->sweep.left_done = !worker->sweep.left_seen; /* none is written any more */
    worker->sweep.running = false;
    worker->sweep.next_ms = worker->now_ms + pause_ms;
}

static void delete_expired(struct worker *worker, const struct key_state *state)
{
    static const struct key_value absent = {.kind = STRID_STATE_ABSENT};
    struct cache_key key = cache_key_from(state);
    STRID_DASSERT(worker->run->worker_of[state->hash >> 24] == worker->index);
    struct cache_entry *entry = cache_find_sub(&worker->cache, &key);
    if (entry != NULL && !key_is_expired(entry->expiry_ms, worker->now_ms) &&
        !MUTANT(MUTANT_SWEEP_NEWER))
        return; /* newer, or deleted already */
    if (entry == NULL)
        entry = cache_add(&worker->cache, &key, &absent);
    (void)cache_put(&worker->cache, entry, &absent);
    worker->dirty = true;
}

static bool look_at(void *user, strid_bytes encoded_key, strid_bytes encoded_value)
{
    struct worker *worker = user;
    struct worker_sweep *sweep = &worker->sweep;
    struct key_state key;
    struct key_value value;
    if (sweep->seen++ == WORKER_SWEEP_ENTRIES) {
        buffer_clear(&sweep->from);
        buffer_put_bytes(&sweep->from, encoded_key);
        return false;
    }
    /* Damage is reported by whoever needs the entry. */
    if (!key_get_state(encoded_key, &key) || !key_get_value(encoded_value, &value))
        return true;
    sweep->left_seen = sweep->left_seen || value.expiry_ms != 0;
    if (key_is_expired(value.expiry_ms, worker->now_ms))
        delete_expired(worker, &key);
    return true;
}

/* Whether it may hold entries that expire: a store that lost its TTL until a pass found none. */
static bool is_swept(const struct worker *worker, uint32_t store)
{
    const struct run *run = worker->run;
    return run->ttl_ms[store] > 0 || (run->ttl_left[store] && !worker->sweep.left_done);
}

/* The next store with a TTL, of the next vshard that is ours and not all in the cache. false: the
 * pass is at its end. Numbers above KEY_STORE_MAX are the stores' entries without a key. */
static bool find_range(struct worker *worker)
{
    const struct run *run = worker->run;
    struct worker_sweep *sweep = &worker->sweep;
    for (; sweep->vshard < KEY_VSHARDS; sweep->vshard++, sweep->store = 0) {
        if (run->worker_of[sweep->vshard] != worker->index)
            continue;
        if (cache_is_complete(&worker->cache, sweep->vshard << 24)) {
            sweep->left_seen = true;    /* perhaps: it was not looked at */
            buffer_clear(&sweep->from); /* loaded since the last step: that lies in it */
            continue;
        }
        for (; sweep->store <= UINT8_MAX; sweep->store++)
            if (is_swept(worker, sweep->store & ~(uint32_t)KEY_STORE_KEYLESS))
                return true;
    }
    return false;
}

static int sweep_store(struct worker *worker)
{
    const struct directory *directory = worker->run->directory;
    struct worker_sweep *sweep = &worker->sweep;
    if (!find_range(worker)) {
        sweep->store_done = true;
        return 0;
    }
    uint8_t begin[] = {'s', (uint8_t)sweep->vshard, (uint8_t)sweep->store};
    uint8_t end[] = {'s',
                     (uint8_t)sweep->vshard,
                     (uint8_t)sweep->store,
                     UINT8_MAX,
                     UINT8_MAX,
                     UINT8_MAX,
                     UINT8_MAX,
                     UINT8_MAX};
    strid_bytes from =
        sweep->from.len > 0 ? buffer_bytes(&sweep->from) : strid_bytes_of(begin, sizeof begin);
    struct buffer last = sweep->from; /* the scan reads `from` while `look_at` writes the next */
    sweep->from = (struct buffer){0};
    sweep->seen = 0;
    /* No key is as long as two bytes of ones say, so that `end` is behind all of them. A scan that
     * fails ends the range: the store says so to those who depend on it. */
    (void)directory->ops->scan(directory->store, from, strid_bytes_of(end, sizeof end), look_at,
                               worker, NULL);
    buffer_fini(&last);
    if (sweep->from.len == 0)
        sweep->store++;
    return 1;
}

static int sweep_cache(struct worker *worker)
{
    struct worker_sweep *sweep = &worker->sweep;
    size_t slots = sweep->slots_left < STEP_SLOTS ? sweep->slots_left : STEP_SLOTS;
    if (slots == 0)
        return 0;
    sweep->slots_left -= slots;
    if (cache_expire(&worker->cache, worker->now_ms, (uint32_t)slots) > 0)
        worker->dirty = true;
    return 1;
}

int worker_sweep(struct worker *worker, bool idle)
{
    struct worker_sweep *sweep = &worker->sweep;
    if (!sweep->running) {
        if (worker->now_ms < sweep->next_ms || run_stop(worker->run) != RUN_CONTINUE)
            return 0;
        begin_pass(worker);
    }
    if (!idle && ++sweep->chunks % STEP_CHUNKS != 0)
        return 0;
    int work = sweep_cache(worker);
    if (!sweep->store_done && (idle || sweep->chunks % STORE_STEP_CHUNKS == 0))
        work += sweep_store(worker);
    if (sweep->slots_left == 0 && sweep->store_done)
        end_pass(worker);
    return work;
}
