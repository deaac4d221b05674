#include "api/reset_block.h"

#include "base/error.h"
#include "runtime/applied.h"
#include "state/block.h"

struct forgetting {
    const struct directory_move *moves;
    uint32_t count;
    struct buffer *block;
    struct buffer value, left; /* of an entry: as it is, and without a partition's positions */
    uint32_t entries;          /* in the block */
    bool damaged;
};

static void put_entry(struct forgetting *forgetting, const struct key_state *key)
{
    struct key_value value = {.kind = STRID_STATE_ABSENT};
    if (forgetting->value.len > 0)
        value = (struct key_value){.kind = STRID_STATE_BYTES,
                                   .bytes = buffer_bytes(&forgetting->value)};
    if (forgetting->entries++ == 0)
        block_begin(forgetting->block);
    block_put_state(forgetting->block, key, &value);
}

static bool see_entry(void *user, strid_bytes encoded_key, strid_bytes encoded_value)
{
    struct forgetting *forgetting = user;
    struct key_state key;
    struct key_value value;
    uint32_t gone = 0;
    forgetting->damaged =
        !key_get_state(encoded_key, &key) || !key_get_value(encoded_value, &value);
    if (forgetting->damaged)
        return false;
    buffer_clear(&forgetting->value);
    buffer_put_bytes(&forgetting->value, value.bytes);
    for (uint32_t i = 0; i < forgetting->count && !forgetting->damaged; i++) {
        const struct directory_move *move = &forgetting->moves[i];
        buffer_clear(&forgetting->left);
        forgetting->damaged =
            !applied_leave_out(buffer_bytes(&forgetting->value), move->partition->number, move->low,
                               &forgetting->left, &gone);
        struct buffer left = forgetting->left;
        forgetting->left = forgetting->value;
        forgetting->value = left;
    }
    if (gone > 0 && !forgetting->damaged)
        put_entry(forgetting, &key);
    return !forgetting->damaged;
}

strid_status reset_block_make(const struct directory *directory, const struct directory_move *moves,
                              uint32_t count, struct buffer *block, strid_error *err)
{
    struct forgetting forgetting = {.moves = moves, .count = count, .block = block};
    strid_status status = STRID_OK;
    for (uint32_t v = 0; status == STRID_OK && v < KEY_VSHARDS; v++) {
        const uint8_t from[] = {'s', (uint8_t)v, APPLIED_STORE};
        const uint8_t to[] = {'s', (uint8_t)v, APPLIED_STORE + 1};
        status = directory->ops->scan(directory->store, strid_bytes_of(from, sizeof from),
                                      strid_bytes_of(to, sizeof to), see_entry, &forgetting, err);
        if (status == STRID_OK && forgetting.damaged)
            status = error_set(err, STRID_ECORRUPT, "reset",
                               "what %s says of records that are not yet acknowledged is damaged; "
                               "restore the directory from a backup",
                               directory->url);
    }
    if (forgetting.entries > 0)
        block_end(block, directory->run.run, 0, 1, 0, forgetting.entries);
    buffer_fini(&forgetting.value);
    buffer_fini(&forgetting.left);
    return status;
}
