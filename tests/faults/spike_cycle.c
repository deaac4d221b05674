#include "spike_cycle.h"

#include "base/buffer.h"
#include "base/crash_point.h"

#include <stdatomic.h>
#include <string.h>

static uint64_t mix(uint64_t chain, uint64_t record)
{
    uint64_t hash = (chain ^ record) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 29;
    return hash * UINT64_C(0xbf58476d1ce4e5b9) | 1; /* never 0 */
}

static uint32_t key_of(uint64_t record) { return (uint32_t)(mix(0, record) >> 40) % SPIKE_KEYS; }

void spike_chains_after(struct spike_chains *chains, uint64_t record)
{
    *chains = (struct spike_chains){0};
    for (uint64_t i = 1; i <= record; i++)
        chains->at[key_of(i)] = mix(chains->at[key_of(i)], i);
}

static void block_key(uint8_t key[9], uint64_t number)
{
    key[0] = 'w';
    for (int i = 0; i < 8; i++)
        key[1 + i] = (uint8_t)(number >> (56 - 8 * i));
}

static uint64_t block_number(strid_bytes key)
{
    uint64_t number = 0;
    for (size_t i = 1; i < key.len; i++)
        number = number << 8 | key.data[i];
    return number;
}

struct recovery {
    struct spike_cycle *cycle;
    const char *fault;
};

static bool recover_one(void *user, strid_bytes key, strid_bytes value)
{
    struct recovery *recovery = user;
    struct spike_cycle *cycle = recovery->cycle;
    struct cursor cursor = cursor_of(value);
    if (key.data[0] == 'p') {
        cycle->loaded_block = cycle->block = cursor_u64(&cursor);
        cycle->record = cursor_u64(&cursor);
    } else if (key.data[0] == 's') {
        cycle->chains.at[key.data[1] % SPIKE_KEYS] = cursor_u64(&cursor);
    } else {
        if (block_number(key) != cycle->block + 1)
            recovery->fault = "a block is missing";
        cycle->block = block_number(key);
        cycle->record = cursor_u64(&cursor);
        while (cursor.at < cursor.end && !cursor.failed) {
            uint32_t changed = cursor_u32(&cursor);
            cycle->chains.at[changed % SPIKE_KEYS] = cursor_u64(&cursor);
        }
    }
    if (cursor.failed)
        recovery->fault = "a value is cut off";
    return recovery->fault == NULL;
}

const char *spike_cycle_recover(struct spike_cycle *cycle, struct store *store)
{
    *cycle = (struct spike_cycle){.store = store};
    struct recovery recovery = {cycle, NULL};
    strid_bytes all = {0};
    struct spike_chains expected;
    /* p, s and w come in just this order: state first, blocks over it. */
    if (store_rocksdb.scan(store, all, all, recover_one, &recovery, NULL) != STRID_OK)
        return "the store cannot be read";
    if (recovery.fault != NULL)
        return recovery.fault;
    cycle->synced_block = cycle->loaded_block; /* what was recovered is synced with the next */
    spike_chains_after(&expected, cycle->record);
    if (memcmp(&expected, &cycle->chains, sizeof expected) != 0)
        return "state and progress do not agree";
    return NULL;
}

static strid_status write_block(struct spike_cycle *cycle, struct spike_report *report,
                                strid_error *err)
{
    struct buffer value = {0};
    bool changed[SPIKE_KEYS] = {false};
    uint64_t last = cycle->record + SPIKE_BLOCK_RECORDS;
    for (uint64_t record = cycle->record + 1; record <= last; record++) {
        uint32_t key = key_of(record);
        cycle->chains.at[key] = mix(cycle->chains.at[key], record);
        changed[key] = true;
    }
    buffer_put_u64(&value, last);
    for (uint32_t key = 0; key < SPIKE_KEYS; key++) {
        if (!changed[key])
            continue;
        buffer_put_u32(&value, key);
        buffer_put_u64(&value, cycle->chains.at[key]);
    }
    uint8_t key[9];
    block_key(key, cycle->block + 1);
    struct store_op op = {strid_bytes_of(key, sizeof key), buffer_bytes(&value)};
    strid_status status = store_rocksdb.apply(cycle->store, &op, 1, err);
    buffer_fini(&value);
    if (status != STRID_OK)
        return status;
    cycle->block++;
    cycle->record = last;
    if (report != NULL)
        atomic_store(&report->applied, last);
    return STRID_OK;
}

static strid_status sync_blocks(struct spike_cycle *cycle, struct spike_report *report,
                                strid_error *err)
{
    uint64_t block = cycle->block, record = cycle->record;
    strid_status status = store_rocksdb.sync(cycle->store, err);
    if (status != STRID_OK)
        return status;
    cycle->synced_block = block;
    if (report != NULL)
        atomic_store(&report->synced, record);
    return STRID_OK;
}

/* Blocks folded: each key once, its last value. */
struct fold {
    struct spike_chains chains;
    uint64_t through_block;
    uint64_t through_record;
    uint32_t next;
    uint8_t key[2];
    uint64_t value;
};

static bool fold_one(void *user, strid_bytes key, strid_bytes value)
{
    struct fold *fold = user;
    struct cursor cursor = cursor_of(value);
    if (block_number(key) > fold->through_block)
        return false;
    fold->through_record = cursor_u64(&cursor);
    while (cursor.at < cursor.end) {
        uint32_t changed = cursor_u32(&cursor);
        fold->chains.at[changed % SPIKE_KEYS] = cursor_u64(&cursor);
    }
    return true;
}

static bool fold_next(void *user, struct store_op *op)
{
    struct fold *fold = user;
    while (fold->next < SPIKE_KEYS && fold->chains.at[fold->next] == 0)
        fold->next++;
    if (fold->next == SPIKE_KEYS)
        return false;
    fold->key[0] = 's';
    fold->key[1] = (uint8_t)fold->next;
    fold->value = fold->chains.at[fold->next++];
    *op = (struct store_op){strid_bytes_of(fold->key, 2), strid_bytes_of(&fold->value, 8)};
    return true;
}

/* One write: the blocks go, and p says that they are in s. */
static strid_status delete_blocks(struct spike_cycle *cycle, const struct fold *fold,
                                  strid_error *err)
{
    enum { BLOCKS_MAX = 256 };
    struct store_op ops[BLOCKS_MAX + 1];
    uint8_t keys[BLOCKS_MAX][9];
    uint64_t progress[2] = {fold->through_block, fold->through_record};
    size_t count = 0;
    ops[count++] =
        (struct store_op){strid_bytes_of("p", 1), strid_bytes_of(progress, sizeof progress)};
    for (uint64_t block = cycle->loaded_block + 1; block <= fold->through_block; block++) {
        if (count > BLOCKS_MAX)
            return STRID_ELIMIT;
        block_key(keys[count - 1], block);
        ops[count] = (struct store_op){strid_bytes_of(keys[count - 1], 9), {0}};
        count++;
    }
    return store_rocksdb.apply(cycle->store, ops, count, err);
}

static strid_status load_blocks(struct spike_cycle *cycle, struct spike_report *report,
                                strid_error *err)
{
    struct fold fold = {.through_block = cycle->unsafe ? cycle->block : cycle->synced_block};
    uint8_t from[9], to[1] = {'w' + 1};
    block_key(from, cycle->loaded_block + 1);
    strid_status status = store_rocksdb.scan(cycle->store, strid_bytes_of(from, 9),
                                             strid_bytes_of(to, 1), fold_one, &fold, err);
    if (status == STRID_OK)
        status = store_rocksdb.bulk_load(cycle->store, fold_next, &fold, err);
    if (status != STRID_OK)
        return status;
    CRASH_POINT("spike_before_delete");
    status = delete_blocks(cycle, &fold, err);
    CRASH_POINT("spike_after_delete");
    cycle->loaded_block = fold.through_block;
    if (report != NULL)
        atomic_fetch_add(&report->loads, 1);
    return status;
}

strid_status spike_cycle_run(struct spike_cycle *cycle, uint64_t until, struct spike_report *report,
                             strid_error *err)
{
    strid_status status = STRID_OK;
    while (status == STRID_OK && cycle->record < until) {
        status = write_block(cycle, report, err);
        if (status == STRID_OK && cycle->block % SPIKE_SYNC_BLOCKS == 0)
            status = sync_blocks(cycle, report, err);
        if (status == STRID_OK && cycle->block - cycle->loaded_block >= SPIKE_LOAD_BLOCKS + 1 &&
            (cycle->unsafe || cycle->synced_block > cycle->loaded_block))
            status = load_blocks(cycle, report, err);
    }
    return status == STRID_OK ? sync_blocks(cycle, report, err) : status;
}
