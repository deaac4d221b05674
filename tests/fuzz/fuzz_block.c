/* Any bytes as a block, as they are and under a right header with right checksums: read to its end
 * or refused. The first two bytes are the counts of the header. */
#include "fuzz.h"

#include <string.h>

#include "base/memory.h"
#include "state/block.h"
#include "state/fold.h"

static void read_block(const uint8_t *data, size_t size)
{
    struct block_view view;
    struct block_progress progress;
    struct key_state key;
    struct key_value value;
    uint8_t *bytes = memory_alloc(size + (size == 0)); /* ends where the block does */
    memcpy(bytes, data, size);
    if (block_open(strid_bytes_of(bytes, size), &view)) {
        while (block_next_progress(&view, &progress)) {
        }
        while (block_next_state(&view, &key, &value)) {
        }
        struct fold *fold = fold_create();
        if (fold_add(fold, strid_bytes_of(bytes, size), &view)) {
            struct store_op op;
            fold_sort(fold);
            while (fold_next(fold, &op)) {
            }
        }
        fold_destroy(fold);
    }
    memory_free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer block = {0};
    read_block(data, size);
    if (size < 2)
        return 0;
    block_begin(&block);
    buffer_put(&block, data + 2, size - 2);
    block_end(&block, 1, 0, 1, data[0] % 8, data[1] % 8);
    block_number(&block, 1, 0);
    read_block(block.data, block.len);
    buffer_fini(&block);
    return 0;
}
