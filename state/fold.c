#include "state/fold.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/assert.h"
#include "base/memory.h"

enum { TABLE_SLOTS_MIN = 1024 };

/* An entry points into the copy of its block. */
struct entry {
    uint64_t hash;
    struct key_state key;
    struct key_value value;
};

struct copy {
    struct copy *next;
    uint8_t bytes[];
};

struct fold {
    struct copy *copies;
    struct entry *entries;
    size_t count, capacity;
    uint32_t *table; /* index + 1 into entries, by hash; 0: empty */
    size_t slots;
    const struct entry **sorted;
    size_t next;
    struct fold_progress *progress;
    uint32_t progress_count, progress_capacity;
    struct buffer key, value; /* what fold_next gives */
};

struct fold *fold_create(void)
{
    struct fold *fold = memory_alloc_zeroed(sizeof *fold);
    fold->slots = TABLE_SLOTS_MIN;
    fold->table = memory_alloc_zeroed(fold->slots * sizeof *fold->table);
    return fold;
}

void fold_clear(struct fold *fold)
{
    while (fold->copies != NULL) {
        struct copy *next = fold->copies->next;
        memory_free(fold->copies);
        fold->copies = next;
    }
    memset(fold->table, 0, fold->slots * sizeof *fold->table);
    memory_free(fold->sorted);
    fold->sorted = NULL;
    fold->count = 0;
    fold->next = 0;
    fold->progress_count = 0;
}

void fold_destroy(struct fold *fold)
{
    if (fold == NULL)
        return;
    fold_clear(fold);
    memory_free(fold->entries);
    memory_free(fold->table);
    memory_free(fold->progress);
    buffer_fini(&fold->key);
    buffer_fini(&fold->value);
    memory_free(fold);
}

static uint64_t hash_of(const struct key_state *key)
{
    return XXH3_64bits_withSeed(key->key.data, key->key.len,
                                (uint64_t)key->store << 8 | key->vshard);
}

static bool same_key(const struct key_state *a, const struct key_state *b)
{
    return a->vshard == b->vshard && a->store == b->store && strid_bytes_equal(a->key, b->key);
}

/* The slot that holds the key, or the empty one where it belongs. */
static uint32_t *slot_of(const struct fold *fold, const struct key_state *key, uint64_t hash)
{
    size_t mask = fold->slots - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        uint32_t index = fold->table[at];
        if (index == 0)
            return &fold->table[at];
        const struct entry *entry = &fold->entries[index - 1];
        if (entry->hash == hash && same_key(&entry->key, key))
            return &fold->table[at];
    }
}

static void grow_table(struct fold *fold)
{
    memory_free(fold->table);
    fold->slots *= 2;
    fold->table = memory_alloc_zeroed(fold->slots * sizeof *fold->table);
    size_t mask = fold->slots - 1;
    for (size_t i = 0; i < fold->count; i++) {
        size_t at = fold->entries[i].hash & mask;
        while (fold->table[at] != 0)
            at = (at + 1) & mask;
        fold->table[at] = (uint32_t)(i + 1);
    }
}

static void put_state(struct fold *fold, const struct key_state *key, const struct key_value *value)
{
    uint64_t hash = hash_of(key);
    uint32_t *slot = slot_of(fold, key, hash);
    if (*slot != 0) {
        fold->entries[*slot - 1].value = *value; /* later blocks win */
        return;
    }
    STRID_ASSERT(fold->count < UINT32_MAX - 1);
    if (fold->count == fold->capacity) {
        fold->capacity = fold->capacity == 0 ? TABLE_SLOTS_MIN : 2 * fold->capacity;
        fold->entries = memory_resize(fold->entries, fold->capacity * sizeof *fold->entries);
    }
    fold->entries[fold->count++] = (struct entry){.hash = hash, .key = *key, .value = *value};
    *slot = (uint32_t)fold->count;
    if (2 * fold->count > fold->slots)
        grow_table(fold);
}

static void put_progress(struct fold *fold, const struct fold_progress *progress)
{
    for (uint32_t i = 0; i < fold->progress_count; i++) {
        struct fold_progress *known = &fold->progress[i];
        if (known->run != progress->run || known->worker != progress->worker ||
            known->partition != progress->partition)
            continue;
        if (strid_position_compare(known->position, progress->position) < 0)
            known->position = progress->position;
        return;
    }
    if (fold->progress_count == fold->progress_capacity) {
        fold->progress_capacity = fold->progress_capacity == 0 ? 16 : 2 * fold->progress_capacity;
        fold->progress =
            memory_resize(fold->progress, fold->progress_capacity * sizeof *fold->progress);
    }
    fold->progress[fold->progress_count++] = *progress;
}

bool fold_add(struct fold *fold, strid_bytes block, struct block_view *view)
{
    if (!block_open(block, view))
        return false;
    struct copy *copy = memory_alloc(sizeof *copy + block.len);
    memcpy(copy->bytes, block.data, block.len);
    copy->next = fold->copies;
    fold->copies = copy;
    bool opened = block_open(strid_bytes_of(copy->bytes, block.len), view);
    STRID_ASSERT(opened);
    struct block_progress progress;
    while (block_next_progress(view, &progress))
        put_progress(fold, &(struct fold_progress){.run = view->run,
                                                   .worker = view->worker,
                                                   .partition = progress.partition,
                                                   .position = progress.position});
    struct key_state key;
    struct key_value value;
    while (block_next_state(view, &key, &value))
        put_state(fold, &key, &value);
    return !view->progress.failed && !view->state.failed;
}

/* The order of the encoded keys: vshard, store, length, bytes. */
static int compare(const void *a, const void *b)
{
    const struct key_state *x = &(*(const struct entry *const *)a)->key;
    const struct key_state *y = &(*(const struct entry *const *)b)->key;
    if (x->vshard != y->vshard)
        return x->vshard < y->vshard ? -1 : 1;
    if (x->store != y->store)
        return x->store < y->store ? -1 : 1;
    if (x->key.len != y->key.len)
        return x->key.len < y->key.len ? -1 : 1;
    return x->key.len == 0 ? 0 : memcmp(x->key.data, y->key.data, x->key.len);
}

void fold_sort(struct fold *fold)
{
    fold->next = 0;
    if (fold->sorted != NULL)
        return;
    fold->sorted = memory_alloc(fold->count * sizeof *fold->sorted);
    for (size_t i = 0; i < fold->count; i++)
        fold->sorted[i] = &fold->entries[i];
    if (fold->count > 0)
        qsort(fold->sorted, fold->count, sizeof *fold->sorted, compare);
}

bool fold_next(void *user, struct store_op *op)
{
    struct fold *fold = user;
    if (fold->next == fold->count)
        return false;
    const struct entry *entry = fold->sorted[fold->next++];
    buffer_clear(&fold->key);
    uint8_t *at = buffer_reserve(&fold->key, KEY_STATE_HEADER + entry->key.key.len);
    fold->key.len = key_put_state(at, &entry->key);
    op->key = buffer_bytes(&fold->key);
    op->value = strid_bytes_of(NULL, 0);
    if (entry->value.kind != STRID_STATE_ABSENT) {
        buffer_clear(&fold->value);
        key_put_value(&fold->value, &entry->value);
        op->value = buffer_bytes(&fold->value);
    }
    return true;
}

bool fold_get(const struct fold *fold, const struct key_state *key, struct key_value *value)
{
    uint32_t index = *slot_of(fold, key, hash_of(key));
    if (index == 0)
        return false;
    *value = fold->entries[index - 1].value;
    return true;
}

uint32_t fold_progress_count(const struct fold *fold) { return fold->progress_count; }

const struct fold_progress *fold_progress_at(const struct fold *fold, uint32_t index)
{
    STRID_ASSERT(index < fold->progress_count);
    return &fold->progress[index];
}

uint64_t fold_count(const struct fold *fold) { return fold->count; }
