#include "runtime/applied.h"

#include "base/memory.h"
#include "runtime/run.h"

enum { SLOTS_MIN = 1024, GROW_AHEAD = 16 /* slots of which half are free */ };

struct applied_batch *applied_batch_create(uint32_t partition_count)
{
    struct applied_batch *batch = memory_alloc_zeroed(sizeof *batch);
    batch->targets = memory_alloc_zeroed((partition_count + 1) * sizeof *batch->targets);
    return batch;
}

void applied_batch_destroy(struct applied_batch *batch)
{
    if (batch == NULL)
        return;
    buffer_fini(&batch->items);
    memory_free(batch->targets);
    memory_free(batch);
}

/* Signed differences with the small ones near zero on both sides. */
static uint64_t zigzag(uint64_t difference)
{
    return (difference << 1) ^ (uint64_t)((int64_t)difference >> 63);
}

static uint64_t unzigzag(uint64_t value) { return (value >> 1) ^ (0 - (value & 1)); }

/* An item as it stands in an entry, the position as the difference to the one before. */
struct stored {
    uint64_t number; /* of the partition in the directory */
    uint8_t vshard;
    strid_position position;
};

static void put_stored(struct buffer *out, const struct stored *item, strid_position *last)
{
    buffer_put_varint(out, item->number);
    buffer_put_u8(out, item->vshard);
    buffer_put_varint(out, zigzag(item->position.high - last->high));
    buffer_put_varint(out, zigzag(item->position.low - last->low));
    *last = item->position;
}

static struct stored next_stored(struct cursor *at, strid_position *last)
{
    struct stored item;
    item.number = cursor_varint(at);
    item.vshard = cursor_u8(at);
    last->high += unzigzag(cursor_varint(at));
    last->low += unzigzag(cursor_varint(at));
    item.position = *last;
    return item;
}

void applied_encode(const struct run *run, const struct applied_batch *batch, uint32_t from,
                    struct buffer *out)
{
    const struct applied_item *items = applied_batch_items(batch);
    strid_position last = {0, 0};
    for (uint32_t i = 0; i < applied_batch_count(batch); i++) {
        if (items[i].partition < from)
            continue;
        struct stored item = {.number = run->partitions[items[i].partition].stored->number,
                              .vshard = (uint8_t)items[i].vshard,
                              .position = items[i].position};
        put_stored(out, &item, &last);
    }
}

bool applied_decode(const struct run *run, strid_bytes value, struct applied_batch *batch)
{
    struct cursor at = cursor_of(value);
    strid_position last = {0, 0};
    while (at.at < at.end && !at.failed) {
        struct stored stored = next_stored(&at, &last);
        const struct partition *partition =
            stored.number > UINT32_MAX ? NULL : run_partition(run, (uint32_t)stored.number);
        if (at.failed || partition == NULL)
            return false;
        const struct applied_item item = {
            .position = stored.position, .partition = partition->index, .vshard = stored.vshard};
        buffer_put(&batch->items, &item, sizeof item);
    }
    return !at.failed;
}

bool applied_leave_out(strid_bytes value, uint32_t partition, strid_position from,
                       struct buffer *out, uint32_t *gone)
{
    struct cursor at = cursor_of(value);
    strid_position last = {0, 0}, last_left = {0, 0};
    while (at.at < at.end && !at.failed) {
        struct stored item = next_stored(&at, &last);
        bool goes = item.number == partition && strid_position_compare(item.position, from) >= 0;
        *gone += goes && !at.failed;
        if (!goes && !at.failed)
            put_stored(out, &item, &last_left);
    }
    return !at.failed;
}

void applied_set_fini(struct applied_set *set)
{
    memory_free(set->slots);
    *set = (struct applied_set){0};
}

static size_t home_of(const struct applied_set *set, uint32_t partition, strid_position position)
{
    uint64_t mixed = (position.high + partition) * UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ (mixed >> 32) ^ position.low) * UINT64_C(0xD6E8FEB86659FD93);
    return (size_t)(mixed ^ (mixed >> 32)) & (set->slot_count - 1);
}

void applied_set_prefetch(const struct applied_set *set, uint32_t partition,
                          strid_position position)
{
    if (set->slot_count > 0)
        __builtin_prefetch(&set->slots[home_of(set, partition, position)], 1);
}

/* Where the position stands, or the free slot where it would. */
static size_t find(const struct applied_set *set, uint32_t partition, strid_position position)
{
    size_t at = home_of(set, partition, position);
    while (set->slots[at].state != APPLIED_FREE &&
           (set->slots[at].partition != partition ||
            strid_position_compare(set->slots[at].position, position) != 0))
        at = (at + 1) & (set->slot_count - 1);
    return at;
}

static void grow(struct applied_set *set)
{
    struct applied_set old = *set;
    set->slot_count = old.slot_count == 0 ? SLOTS_MIN : 2 * old.slot_count;
    set->slots = memory_alloc(set->slot_count * sizeof *set->slots);
    for (size_t i = 0; i < set->slot_count; i++)
        set->slots[i].state = APPLIED_FREE;
    for (size_t i = 0; i < old.slot_count; i++) {
        if (i + GROW_AHEAD < old.slot_count && old.slots[i + GROW_AHEAD].state != APPLIED_FREE)
            applied_set_prefetch(set, old.slots[i + GROW_AHEAD].partition,
                                 old.slots[i + GROW_AHEAD].position);
        if (old.slots[i].state != APPLIED_FREE)
            set->slots[find(set, old.slots[i].partition, old.slots[i].position)] = old.slots[i];
    }
    memory_free(old.slots);
}

void applied_set_add(struct applied_set *set, const struct applied_item *item)
{
    if (set->count + 1 > set->slot_count / 2)
        grow(set);
    size_t at = find(set, item->partition, item->position);
    set->count += set->slots[at].state == APPLIED_FREE;
    set->slots[at] = *item;
}

/* Deletion by moving back what was pushed away: no tombstones. */
void applied_set_remove(struct applied_set *set, const struct applied_item *item)
{
    if (set->count == 0)
        return;
    size_t mask = set->slot_count - 1;
    size_t hole = find(set, item->partition, item->position);
    if (set->slots[hole].state != item->state)
        return;
    for (size_t at = (hole + 1) & mask; set->slots[at].state != APPLIED_FREE;
         at = (at + 1) & mask) {
        size_t home = home_of(set, set->slots[at].partition, set->slots[at].position);
        if (((at - home) & mask) < ((at - hole) & mask))
            continue; /* its home lies behind the hole: it would not be found before it */
        set->slots[hole] = set->slots[at];
        hole = at;
    }
    set->slots[hole].state = APPLIED_FREE;
    set->count--;
}

struct applied_item *applied_set_find(const struct applied_set *set, uint32_t partition,
                                      strid_position position)
{
    if (set->count == 0)
        return NULL;
    struct applied_item *item = &set->slots[find(set, partition, position)];
    return item->state == APPLIED_FREE ? NULL : item;
}

bool applied_set_has(const struct applied_set *set, uint32_t partition, strid_position position)
{
    return applied_set_find(set, partition, position) != NULL;
}
