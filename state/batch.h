/* A list of operations for one atomic write, with its own copies of small keys and values. Owned by
 * one thread, reused by batch_clear(). */
#ifndef STATE_BATCH_H
#define STATE_BATCH_H

#include "base/buffer.h"
#include "state/store.h"

struct batch {
    struct buffer bytes;  /* copies */
    struct buffer places; /* struct place per operation */
    struct buffer ops;    /* struct store_op per operation, made by batch_apply() */
    size_t count;
};

void batch_fini(struct batch *batch);
void batch_clear(struct batch *batch);
void batch_put(struct batch *batch, strid_bytes key, strid_bytes value);
void batch_put_borrowed(struct batch *batch, strid_bytes key,
                        strid_bytes value); /* value is not copied */
void batch_delete(struct batch *batch, strid_bytes key);
strid_status batch_apply(struct batch *batch, const struct store_ops *ops, struct store *store,
                         strid_error *err); /* an empty batch is not written */

#endif
