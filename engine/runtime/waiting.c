#include "runtime/waiting.h"

#include "base/assert.h"
#include "base/memory.h"

enum {
    SLOTS_MIN = 64,
    KIND_FLAGS =
        RETRY_HEAD_KEYLESS | RETRY_HEAD_ALONE, /* keys of one kind do not meet the others */
    ALLOCATION = 16                            /* what the allocator adds to each key */
};

void waiting_fini(struct waiting *waiting)
{
    for (size_t i = 0; i < waiting->count; i++)
        memory_free(waiting->heap[i]);
    memory_free(waiting->heap);
    memory_free(waiting->slots);
    spares_fini(&waiting->spares);
    *waiting = (struct waiting){0};
}

static bool is_before(const struct waiting_key *a, const struct waiting_key *b)
{
    if (a->head.due_ms != b->head.due_ms)
        return a->head.due_ms < b->head.due_ms;
    return a->order < b->order;
}

static void heap_set(struct waiting *waiting, size_t at, struct waiting_key *key)
{
    waiting->heap[at] = key;
    key->heap_at = at;
}

/* Puts `key` where it belongs, on the way from the hole `at` to the leaves. */
static void heap_sink(struct waiting *waiting, size_t at, struct waiting_key *key)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= waiting->count)
            break;
        if (child + 1 < waiting->count && is_before(waiting->heap[child + 1], waiting->heap[child]))
            child++;
        if (!is_before(waiting->heap[child], key))
            break;
        heap_set(waiting, at, waiting->heap[child]);
        at = child;
    }
    heap_set(waiting, at, key);
}

/* The same on the way to the root or to the leaves. */
static void heap_place(struct waiting *waiting, size_t at, struct waiting_key *key)
{
    for (; at > 0 && is_before(key, waiting->heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap_set(waiting, at, waiting->heap[(at - 1) / 2]);
    heap_sink(waiting, at, key);
}

static size_t slot_of(const struct waiting *waiting, uint64_t hash)
{
    return (size_t)hash & (waiting->slot_count - 1);
}

static void slot_insert(struct waiting *waiting, struct waiting_key *key)
{
    size_t at = slot_of(waiting, key->hash);
    while (waiting->slots[at] != NULL)
        at = (at + 1) & (waiting->slot_count - 1);
    waiting->slots[at] = key;
}

static void make_room(struct waiting *waiting)
{
    if (waiting->count == waiting->heap_capacity) {
        waiting->heap_capacity = waiting->count == 0 ? SLOTS_MIN : 2 * waiting->count;
        waiting->heap =
            memory_resize(waiting->heap, waiting->heap_capacity * sizeof(struct waiting_key *));
    }
    if (waiting->count + 1 <= waiting->slot_count / 4 * 3)
        return;
    waiting->slot_count = waiting->slot_count == 0 ? SLOTS_MIN : 2 * waiting->slot_count;
    memory_free(waiting->slots);
    waiting->slots = memory_alloc_zeroed(waiting->slot_count * sizeof(struct waiting_key *));
    for (size_t i = 0; i < waiting->count; i++)
        slot_insert(waiting, waiting->heap[i]);
}

struct waiting_key *waiting_find(const struct waiting *waiting, uint64_t hash, uint8_t flags,
                                 strid_bytes key)
{
    if (waiting->count == 0)
        return NULL;
    for (size_t at = slot_of(waiting, hash); waiting->slots[at] != NULL;
         at = (at + 1) & (waiting->slot_count - 1)) {
        struct waiting_key *found = waiting->slots[at];
        if (found->hash == hash && (found->head.flags & KIND_FLAGS) == (flags & KIND_FLAGS) &&
            strid_bytes_equal(strid_bytes_of(found->key, found->key_len), key))
            return found;
    }
    return NULL;
}

static void count_vshard(struct waiting *waiting, uint64_t hash, uint32_t more)
{
    uint32_t vshard = (uint32_t)(hash >> 56);
    uint64_t bit = UINT64_C(1) << (vshard & 63);
    waiting->vshard_keys[vshard] += more;
    if (waiting->vshard_keys[vshard] == 0)
        waiting->vshards[vshard / 64] &= ~bit;
    else
        waiting->vshards[vshard / 64] |= bit;
}

static void filter_add(struct waiting *waiting, uint64_t hash)
{
    size_t at = waiting_filter_of(hash);
    uint8_t *keys = &waiting->filter_keys[at];
    *keys = (uint8_t)(*keys + (*keys < UINT8_MAX));
    waiting->filter[at / 64] |= UINT64_C(1) << (at & 63);
}

static void filter_remove(struct waiting *waiting, uint64_t hash)
{
    size_t at = waiting_filter_of(hash);
    uint8_t *keys = &waiting->filter_keys[at];
    *keys = (uint8_t)(*keys - (*keys < UINT8_MAX));
    if (*keys == 0)
        waiting->filter[at / 64] &= ~(UINT64_C(1) << (at & 63));
    if (waiting->count == 0) {
        memset(waiting->filter, 0, sizeof waiting->filter);
        memset(waiting->filter_keys, 0, sizeof waiting->filter_keys);
    }
}

struct waiting_key *waiting_add(struct waiting *waiting, uint64_t hash, strid_bytes key,
                                const struct retry_head *head)
{
    STRID_ASSERT(head->first_seq <= head->last_seq);
    STRID_DASSERT(waiting_find(waiting, hash, head->flags, key) == NULL);
    make_room(waiting);
    struct waiting_key *added = spares_alloc(&waiting->spares, sizeof *added + key.len);
    *added = (struct waiting_key){
        .head = *head, .hash = hash, .order = waiting->order++, .key_len = key.len};
    if (key.len > 0)
        memcpy(added->key, key.data, key.len);
    slot_insert(waiting, added);
    filter_add(waiting, hash);
    heap_place(waiting, waiting->count++, added);
    waiting->records += head->last_seq - head->first_seq + 1;
    waiting->bytes += head->bytes;
    waiting->key_bytes += key.len;
    count_vshard(waiting, hash, 1);
    return added;
}

void waiting_schedule(struct waiting *waiting, struct waiting_key *key, int64_t due_ms)
{
    STRID_ASSERT(waiting->heap[key->heap_at] == key);
    key->head.due_ms = due_ms;
    key->order = waiting->order++;
    heap_place(waiting, key->heap_at, key);
}

void waiting_limit(struct waiting *waiting, int64_t latest_ms)
{
    for (size_t i = 0; i < waiting->count; i++)
        if (waiting->heap[i]->head.due_ms > latest_ms && !waiting->heap[i]->open)
            waiting->heap[i]->head.due_ms = latest_ms;
    /* Equal times now go by the order of scheduling, from the leaves up. */
    for (size_t at = waiting->count / 2; at > 0; at--)
        heap_sink(waiting, at - 1, waiting->heap[at - 1]);
}

uint64_t waiting_park(struct waiting *waiting, struct waiting_key *key, size_t bytes)
{
    key->head.bytes += bytes;
    waiting->bytes += bytes;
    waiting->records++;
    return ++key->head.last_seq;
}

/* Deletion by moving back what was pushed away: no tombstones, so that a table in which keys come
 * and go for months does not fill up. */
static void slot_remove(struct waiting *waiting, const struct waiting_key *key)
{
    size_t mask = waiting->slot_count - 1;
    size_t hole = slot_of(waiting, key->hash);
    while (waiting->slots[hole] != key)
        hole = (hole + 1) & mask;
    for (size_t at = (hole + 1) & mask; waiting->slots[at] != NULL; at = (at + 1) & mask) {
        size_t home = slot_of(waiting, waiting->slots[at]->hash);
        if (((at - home) & mask) < ((at - hole) & mask))
            continue; /* its home lies behind the hole: it would not be found before it */
        waiting->slots[hole] = waiting->slots[at];
        hole = at;
    }
    waiting->slots[hole] = NULL;
}

static void remove_key(struct waiting *waiting, struct waiting_key *key)
{
    STRID_ASSERT(key->changed_at == 0);
    slot_remove(waiting, key);
    waiting->key_bytes -= key->key_len;
    count_vshard(waiting, key->hash, UINT32_MAX); /* one less */
    struct waiting_key *last = waiting->heap[--waiting->count];
    filter_remove(waiting, key->hash);
    if (last != key)
        heap_place(waiting, key->heap_at, last);
    spares_free(&waiting->spares, key, sizeof *key + key->key_len);
}

bool waiting_advance(struct waiting *waiting, struct waiting_key *key, size_t bytes)
{
    struct retry_head *head = &key->head;
    STRID_ASSERT(waiting->heap[key->heap_at] == key);
    STRID_ASSERT(bytes <= head->bytes);
    waiting->records--;
    waiting->bytes -= bytes;
    head->bytes -= bytes;
    if (head->first_seq == head->last_seq) {
        STRID_ASSERT(head->bytes == 0);
        remove_key(waiting, key);
        return false;
    }
    head->first_seq++;
    head->attempt = 0;
    head->first_ms = 0;
    return true;
}

struct waiting_key *waiting_due(const struct waiting *waiting, int64_t now_ms)
{
    return waiting_next_ms(waiting) <= now_ms && waiting->count > 0 ? waiting->heap[0] : NULL;
}

int64_t waiting_next_ms(const struct waiting *waiting)
{
    return waiting->count == 0 ? INT64_MAX : waiting->heap[0]->head.due_ms;
}

uint64_t waiting_memory(const struct waiting *waiting)
{
    return (waiting->slot_count + waiting->heap_capacity) * sizeof(struct waiting_key *) +
           waiting->count * (sizeof(struct waiting_key) + ALLOCATION) + waiting->key_bytes;
}
