/* Any bytes as a key and as a value of the store, as they are and under a right checksum: refused,
 * or what is read is written as the same bytes again. */
#include "fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "state/key.h"
#include "state/meta.h"

static void read_key(strid_bytes bytes)
{
    struct key_state key;
    struct buffer again = {0};
    strid_bytes name;
    if (key_get_state(bytes, &key)) {
        again.len = key_put_state(buffer_reserve(&again, KEY_STATE_HEADER + key.key.len), &key);
        STRID_ASSERT(strid_bytes_equal(buffer_bytes(&again), bytes));
    }
    if (meta_key_is(bytes, "low", &name))
        STRID_ASSERT(name.len < bytes.len);
    buffer_fini(&again);
}

static void read_value(strid_bytes bytes)
{
    struct key_value value;
    struct buffer again = {0};
    if (key_get_value(bytes, &value)) {
        key_put_value(&again, &value);
        STRID_ASSERT(strid_bytes_equal(buffer_bytes(&again), bytes));
    }
    buffer_fini(&again);
    struct cursor cursor = meta_value_read(bytes);
    while (!cursor.failed && cursor.at < cursor.end)
        (void)cursor_varint(&cursor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = memory_alloc(size + sizeof(uint32_t)); /* ends where the checksum does */
    uint32_t crc = crc32c(0, data, size);
    memcpy(bytes, data, size);
    memcpy(bytes + size, &crc, sizeof crc);
    read_value(strid_bytes_of(bytes, size + sizeof crc));
    memory_free(bytes);
    bytes = memory_alloc(size + (size == 0));
    memcpy(bytes, data, size);
    read_key(strid_bytes_of(bytes, size));
    read_value(strid_bytes_of(bytes, size));
    memory_free(bytes);
    return 0;
}
