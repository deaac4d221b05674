#include "state/fold.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/mutant.h"

enum {
    ITEMS_MIN = 1024,
    BYTES_MIN = 64 * 1024,
    INSERTION_MAX = 48,
    DIGIT_FIRST = 3,
    DIGIT_TOP = 7,
    DIGIT_VALUES = 256,
    PREFETCH = 32,
    ENTRY_USUAL = 26, /* bytes of a counter under a key of 16 bytes */
    GROUP_SMALL = 16  /* entries of one place that are told apart one by one */
};

/* One entry of one block: where it belongs in the order of keys, and where it is. Entries are
 * sorted by `place`, which tells nearly all keys apart, by a stable radix sort: of the same key the
 * newest stays the last. By the vshard first: one pass over all of them, after which each vshard
 * lies within the processor's cache while it is sorted by the rest. */
struct item {
    uint64_t place; /* vshard 8 bits, store 8, the rest of the hash 24, 0 */
    uint64_t at;    /* offset in the copies of the blocks */
};

struct fold {
    uint8_t *bytes; /* copies of the blocks, one behind the other; kept for the next use */
    size_t len, bytes_capacity;
    struct item *items, *spare;   /* equal capacities: the radix sort goes to and fro */
    size_t vshards[DIGIT_VALUES]; /* how many entries each has; until sorted */
    size_t count, capacity;
    bool sorted; /* by key, and each key once */
    size_t next;
    int64_t now_ms;
    struct fold_progress *progress;
    uint32_t progress_count, progress_capacity;
    struct buffer key, value;     /* what fold_next gives */
    uint8_t number[BLOCK_NUMBER]; /* of the entry that was read last */
};

struct fold *fold_create(void) { return memory_alloc_zeroed(sizeof(struct fold)); }

void fold_clear(struct fold *fold)
{
    fold->len = 0;
    fold->count = 0;
    fold->next = 0;
    fold->sorted = false;
    fold->progress_count = 0;
    memset(fold->vshards, 0, sizeof fold->vshards);
}

void fold_destroy(struct fold *fold)
{
    if (fold == NULL)
        return;
    memory_unmap(fold->bytes, fold->bytes_capacity);
    memory_unmap(fold->items, fold->capacity * sizeof *fold->items);
    memory_unmap(fold->spare, fold->capacity * sizeof *fold->spare);
    memory_free(fold->progress);
    buffer_fini(&fold->key);
    buffer_fini(&fold->value);
    memory_free(fold);
}

static uint64_t place_of(const struct key_state *key)
{
    return (uint64_t)(key->hash >> 24) << 56 | (uint64_t)key->store << 48 |
           (uint64_t)(key->hash & 0xffffff) << 24;
}

static const uint8_t *entry_at(const struct fold *fold, const struct item *item)
{
    return fold->bytes + item->at;
}

/* A third of the usual entries lie across two lines. */
static inline void prefetch_entry(const struct fold *fold, const struct item *item)
{
    const uint8_t *entry = entry_at(fold, item);
    __builtin_prefetch(entry);
    __builtin_prefetch(entry + ENTRY_USUAL - 1);
}

static void read_item(struct fold *fold, const struct item *item, struct key_state *key,
                      struct key_value *value)
{
    struct cursor cursor = cursor_of(strid_bytes_of(entry_at(fold, item), fold->len - item->at));
    bool read = block_read_state(&cursor, key, value, fold->number);
    STRID_DASSERT(read); /* it was read before */
    (void)read;
}

static void reserve_items(struct fold *fold, size_t more)
{
    if (fold->capacity - fold->count >= more)
        return;
    size_t capacity = fold->capacity == 0 ? ITEMS_MIN : fold->capacity;
    while (capacity - fold->count < more)
        capacity *= 2;
    size_t old = fold->capacity * sizeof *fold->items, bytes = capacity * sizeof *fold->items;
    fold->items = memory_map(fold->items, old, bytes);
    fold->spare = memory_map(fold->spare, old, bytes);
    fold->capacity = capacity;
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

static strid_bytes keep_copy(struct fold *fold, strid_bytes block)
{
    size_t capacity = fold->bytes_capacity == 0 ? BYTES_MIN : fold->bytes_capacity;
    while (capacity - fold->len < block.len)
        capacity *= 2;
    if (capacity != fold->bytes_capacity)
        fold->bytes = memory_map(fold->bytes, fold->bytes_capacity, capacity);
    fold->bytes_capacity = capacity;
    uint8_t *to = fold->bytes + fold->len;
    memcpy(to, block.data, block.len);
    fold->len += block.len;
    return strid_bytes_of(to, block.len);
}

/* Notes where the block's entries are. false: one of them cannot be read. */
static bool add_items(struct fold *fold, struct block_view *view)
{
    struct key_state key;
    struct key_value value;
    reserve_items(fold, view->state_count); /* at most what the block has bytes for */
    for (uint32_t i = 0; i < view->state_count; i++) {
        const uint8_t *at = view->state.at;
        if (!block_next_state(view, &key, &value))
            return false;
        fold->vshards[key.hash >> 24]++;
        fold->items[fold->count++] =
            (struct item){.place = place_of(&key), .at = (uint64_t)(at - fold->bytes)};
    }
    return view->state.at == view->state.end;
}

static void drop_last_block(struct fold *fold, size_t count, size_t len)
{
    while (fold->count > count)
        fold->vshards[fold->items[--fold->count].place >> (8 * DIGIT_TOP)]--;
    fold->len = len;
}

bool fold_add(struct fold *fold, strid_bytes block, struct block_view *view)
{
    STRID_ASSERT(!fold->sorted);
    size_t count = fold->count, len = fold->len;
    strid_bytes copy = keep_copy(fold, block);
    if (!block_open(copy, view) || !add_items(fold, view)) {
        drop_last_block(fold, count, len);
        return false;
    }
    struct block_progress progress;
    while (block_next_progress(view, &progress))
        put_progress(fold, &(struct fold_progress){.run = view->run,
                                                   .worker = view->worker,
                                                   .partition = progress.partition,
                                                   .position = progress.position});
    return true;
}

/* Puts the entries into the order of their vshards: from `items` into `spare`. */
static void sort_by_vshard(struct fold *fold)
{
    size_t to[DIGIT_VALUES], begin = 0;
    for (unsigned v = 0; v < DIGIT_VALUES; v++) {
        to[v] = begin;
        begin += fold->vshards[v];
    }
    for (size_t i = 0; i < fold->count; i++)
        fold->spare[to[fold->items[i].place >> (8 * DIGIT_TOP)]++] = fold->items[i];
}

static void insertion_sort(struct item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct item item = items[i];
        size_t at = i;
        for (; at > 0 && items[at - 1].place > item.place; at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

/* LSD radix sort (Knuth, The Art of Computer Programming 3, 5.2.5) by the digits below the vshard;
 * digits that are all the same cost nothing. `other` is as large; the result is in `items`. */
static void radix_sort(struct item *items, struct item *other, size_t count)
{
    if (count <= INSERTION_MAX) {
        insertion_sort(items, count);
        return;
    }
    size_t counts[DIGIT_TOP][DIGIT_VALUES] = {0};
    struct item *from = items, *to = other;
    for (size_t i = 0; i < count; i++)
        for (unsigned digit = DIGIT_FIRST; digit < DIGIT_TOP; digit++)
            counts[digit][items[i].place >> (8 * digit) & 0xff]++;
    for (unsigned digit = DIGIT_FIRST; digit < DIGIT_TOP; digit++) {
        size_t *place = counts[digit], begin = 0;
        if (place[from[0].place >> (8 * digit) & 0xff] == count)
            continue;
        for (unsigned value = 0; value < DIGIT_VALUES; value++) {
            size_t here = place[value];
            place[value] = begin;
            begin += here;
        }
        for (size_t i = 0; i < count; i++)
            to[place[from[i].place >> (8 * digit) & 0xff]++] = from[i];
        struct item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

/* Puts an item among the kept ones of the same place, unless a newer one of its key is there. */
static size_t keep(struct fold *fold, size_t first, size_t end, const struct item *item)
{
    struct key_state key, other;
    struct key_value value;
    read_item(fold, item, &key, &value);
    size_t at = end;
    for (; at > first; at--) {
        read_item(fold, &fold->items[at - 1], &other, &value);
        int order = key_compare_names(&other, &key);
        if (order == 0 && MUTANT(MUTANT_BLOCK_ORDER))
            fold->items[at - 1] = *item;
        if (order == 0)
            return end;
        if (order < 0)
            break;
    }
    memmove(&fold->items[at + 1], &fold->items[at], (end - at) * sizeof *fold->items);
    fold->items[at] = *item;
    return end + 1;
}

static int compare_items(struct fold *fold, const struct item *a, const struct item *b)
{
    struct key_state key, other;
    struct key_value value;
    read_item(fold, a, &key, &value);
    read_item(fold, b, &other, &value);
    return key_compare_names(&key, &other);
}

/* One pass of a stable merge sort: runs of `width` items become runs of twice that. */
static void merge_runs(struct fold *fold, const struct item *from, struct item *to, size_t count,
                       size_t width)
{
    for (size_t begin = 0; begin < count; begin += 2 * width) {
        size_t middle = begin + width < count ? begin + width : count;
        size_t end = begin + 2 * width < count ? begin + 2 * width : count;
        size_t left = begin, right = middle;
        for (size_t at = begin; at < end; at++) {
            bool takes_left = left < middle &&
                              (right == end || compare_items(fold, &from[left], &from[right]) <= 0);
            to[at] = takes_left ? from[left++] : from[right++];
        }
    }
}

/* What keep() does one by one, for many items at the same place: the subkeys of one key. */
static size_t keep_many(struct fold *fold, size_t begin, size_t end, size_t kept)
{
    size_t count = end - begin;
    struct item *from = &fold->spare[begin], *to = memory_alloc(count * sizeof *to);
    struct item *scratch = to;
    for (size_t width = 1; width < count; width *= 2) {
        merge_runs(fold, from, to, count, width);
        struct item *swap = from;
        from = to;
        to = swap;
    }
    for (size_t i = 0; i < count; i++) {
        bool newest = i + 1 == count || compare_items(fold, &from[i], &from[i + 1]) != 0;
        bool oldest = i == 0 || compare_items(fold, &from[i - 1], &from[i]) != 0;
        if (MUTANT(MUTANT_BLOCK_ORDER) ? oldest : newest)
            fold->items[kept++] = from[i];
    }
    memory_free(scratch);
    return kept;
}

/* Whether all entries of a place are of one key, as nearly always. */
static bool one_key(const struct fold *fold, size_t first, size_t end)
{
    const uint8_t *newest = entry_at(fold, &fold->spare[end - 1]);
    for (size_t i = first; i < end - 1; i++)
        if (!block_same_key(newest, entry_at(fold, &fold->spare[i])))
            return false;
    return !MUTANT(MUTANT_BLOCK_ORDER);
}

/* Of each key the newest entry of `spare` stays, and goes to `items`; `kept` are there. */
static size_t drop_older(struct fold *fold, size_t begin, size_t limit, size_t kept)
{
    size_t ahead = begin;
    for (size_t i = begin, end; i < limit; i = end) {
        for (end = i + 1; end < limit && fold->spare[end].place == fold->spare[i].place;)
            end++;
        for (; ahead < end + PREFETCH && ahead < limit; ahead++)
            prefetch_entry(fold, &fold->spare[ahead]);
        if (end == i + 1 || one_key(fold, i, end)) {
            fold->items[kept++] = fold->spare[end - 1];
            continue;
        }
        if (end - i > GROUP_SMALL) {
            kept = keep_many(fold, i, end, kept);
            continue;
        }
        size_t first = kept;
        for (size_t j = end; j > i; j--)
            kept = keep(fold, first, kept, &fold->spare[j - 1]);
    }
    return kept;
}

/* A vshard is sorted in `spare`, with its own part of `items` to go to and fro; what is kept of it
 * then lies at or before that part. */
static void sort(struct fold *fold)
{
    if (fold->sorted)
        return;
    sort_by_vshard(fold);
    size_t begin = 0, kept = 0;
    for (unsigned v = 0; v < DIGIT_VALUES; v++) {
        size_t count = fold->vshards[v];
        if (count == 0)
            continue;
        radix_sort(fold->spare + begin, fold->items + begin, count);
        kept = drop_older(fold, begin, begin + count, kept);
        begin += count;
    }
    fold->count = kept;
    fold->sorted = true;
}

void fold_sort(struct fold *fold)
{
    sort(fold);
    fold->next = 0;
}

void fold_set_now(struct fold *fold, int64_t now_ms) { fold->now_ms = now_ms; }

bool fold_next(void *user, struct store_op *op)
{
    struct fold *fold = user;
    STRID_DASSERT(fold->sorted);
    if (fold->next == fold->count)
        return false;
    if (fold->next + PREFETCH < fold->count)
        prefetch_entry(fold, &fold->items[fold->next + PREFETCH]);
    struct key_state key;
    struct key_value value;
    read_item(fold, &fold->items[fold->next++], &key, &value);
    buffer_clear(&fold->key);
    uint8_t *at = buffer_reserve(&fold->key, KEY_STATE_HEADER + key.key.len);
    fold->key.len = key_put_state(at, &key);
    op->key = buffer_bytes(&fold->key);
    op->value = strid_bytes_of(NULL, 0);
    if (value.kind != STRID_STATE_ABSENT && !key_is_expired(value.expiry_ms, fold->now_ms)) {
        buffer_clear(&fold->value);
        key_put_value(&fold->value, &value);
        op->value = buffer_bytes(&fold->value);
    }
    return true;
}

bool fold_get(struct fold *fold, const struct key_state *key, struct key_value *value)
{
    sort(fold);
    uint64_t place = place_of(key);
    struct key_state found;
    struct key_value held;
    size_t low = 0, high = fold->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct item *item = &fold->items[middle];
        bool below = item->place < place;
        if (item->place == place) {
            read_item(fold, item, &found, &held);
            below = key_compare_names(&found, key) < 0;
        }
        if (below)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == fold->count || fold->items[low].place != place)
        return false;
    read_item(fold, &fold->items[low], &found, &held);
    if (key_compare_names(&found, key) != 0)
        return false;
    *value = held;
    return true;
}

uint32_t fold_progress_count(const struct fold *fold) { return fold->progress_count; }

const struct fold_progress *fold_progress_at(const struct fold *fold, uint32_t index)
{
    STRID_ASSERT(index < fold->progress_count);
    return &fold->progress[index];
}

uint64_t fold_count(const struct fold *fold)
{
    STRID_ASSERT(fold->sorted || fold->count == 0);
    return fold->count;
}
