#include "state/directory_move.h"

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/memory.h"
#include "state/block.h"
#include "state/meta.h"

static void put_move(const struct directory *directory, struct batch *batch,
                     const struct directory_move *move, bool forget)
{
    struct buffer key = {0};
    uint8_t table[KEY_FIXED_MAX];
    const uint32_t number = move->partition->number;
    directory_put_low(batch, number, move->low, directory->synced);
    batch_delete(batch, strid_bytes_of(table, key_put_table(table, number)));
    if (forget) {
        meta_key_number(&key, "fingerprint", number, 4);
        batch_delete(batch, buffer_bytes(&key));
    }
    buffer_fini(&key);
}

static void put_block(struct directory *directory, struct batch *batch, struct buffer *block)
{
    uint8_t key[KEY_FIXED_MAX];
    const uint64_t number = ++directory->last_number;
    block_number(block, number, directory->synced);
    batch_put_borrowed(batch, strid_bytes_of(key, key_put_block(key, number)), buffer_bytes(block));
}

/* The directory in memory as the one in the store. */
static void take_move(const struct directory_move *move, bool forget)
{
    struct directory_partition *partition = move->partition;
    partition->has_low = true;
    partition->low = move->low;
    memory_free(partition->table);
    partition->table = NULL;
    partition->fingerprint_len = forget ? 0 : partition->fingerprint_len;
}

strid_status directory_move(struct directory *directory, const struct directory_move *moves,
                            uint32_t count, bool forget, struct buffer *block, strid_error *err)
{
    struct batch batch = {0};
    STRID_ASSERT(directory->fold == NULL); /* the run has begun */
    for (uint32_t i = 0; i < count; i++) {
        STRID_ASSERT(moves[i].partition->stored);
        put_move(directory, &batch, &moves[i], forget);
    }
    if (block->len > 0)
        put_block(directory, &batch, block);
    strid_status status = batch_apply(&batch, directory->ops, directory->store, err);
    CRASH_POINT("reset_written");
    if (status == STRID_OK)
        status = directory->ops->sync(directory->store, err);
    CRASH_POINT("reset_synced");
    batch_fini(&batch);
    if (status != STRID_OK)
        return status;
    directory->synced = directory->last_number;
    for (uint32_t i = 0; i < count; i++)
        take_move(&moves[i], forget);
    return STRID_OK;
}
