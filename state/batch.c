#include "state/batch.h"

/* Copies move while the batch grows, so that places are remembered as offsets until it is applied.
 */
struct place {
    size_t key_at, key_len;
    size_t value_at, value_len;
    const uint8_t *borrowed; /* the value lies here, if not NULL */
    bool deletes;
};

void batch_fini(struct batch *batch)
{
    buffer_fini(&batch->bytes);
    buffer_fini(&batch->places);
    buffer_fini(&batch->ops);
}

void batch_clear(struct batch *batch)
{
    buffer_clear(&batch->bytes);
    buffer_clear(&batch->places);
    batch->count = 0;
}

static size_t copy(struct batch *batch, strid_bytes bytes)
{
    size_t at = batch->bytes.len;
    buffer_put_bytes(&batch->bytes, bytes);
    return at;
}

static void add(struct batch *batch, const struct place *place)
{
    buffer_put(&batch->places, place, sizeof *place);
    batch->count++;
}

void batch_put(struct batch *batch, strid_bytes key, strid_bytes value)
{
    struct place place = {.key_at = copy(batch, key), .key_len = key.len};
    place.value_at = copy(batch, value);
    place.value_len = value.len;
    add(batch, &place);
}

void batch_put_borrowed(struct batch *batch, strid_bytes key, strid_bytes value)
{
    add(batch, &(struct place){.key_at = copy(batch, key),
                               .key_len = key.len,
                               .value_len = value.len,
                               .borrowed = value.data});
}

void batch_delete(struct batch *batch, strid_bytes key)
{
    add(batch, &(struct place){.key_at = copy(batch, key), .key_len = key.len, .deletes = true});
}

strid_status batch_apply(struct batch *batch, const struct store_ops *ops, struct store *store,
                         strid_error *err)
{
    if (batch->count == 0)
        return STRID_OK;
    buffer_clear(&batch->ops);
    (void)buffer_reserve(&batch->bytes, 1); /* an empty value is not an absent one */
    for (size_t i = 0; i < batch->count; i++) {
        struct place place;
        memcpy(&place, batch->places.data + i * sizeof place, sizeof place);
        struct store_op op = {.key =
                                  strid_bytes_of(batch->bytes.data + place.key_at, place.key_len)};
        if (!place.deletes)
            op.value = strid_bytes_of(place.borrowed != NULL ? place.borrowed
                                                             : batch->bytes.data + place.value_at,
                                      place.value_len);
        buffer_put(&batch->ops, &op, sizeof op);
    }
    return ops->apply(store, (const struct store_op *)(void *)batch->ops.data, batch->count, err);
}
