/* Any bytes as a waiting record, its head, or a dead letter in the outbox: read to the last byte or
 * refused, and what is read is written back the same. */
#include "fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "runtime/outbox_record.h"

/* A decoder may be given a form that the encoder does not use (a long varint), so what is written
 * back is read again. */
static void write_back(const struct outbox_record *record)
{
    struct buffer once = {0}, twice = {0}, headers = {0};
    struct outbox_record again;
    outbox_record_put(&once, record);
    bool read = outbox_record_get(buffer_bytes(&once), &headers, &again);
    STRID_ASSERT(read);
    outbox_record_put(&twice, &again);
    STRID_ASSERT(strid_bytes_equal(buffer_bytes(&once), buffer_bytes(&twice)));
    buffer_fini(&once);
    buffer_fini(&twice);
    buffer_fini(&headers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer headers = {0}, back = {0};
    struct outbox_record letter;
    struct retry_record waiting;
    struct retry_head head;
    uint8_t *bytes = memory_alloc(size + (size == 0)); /* ends where the record does */
    memcpy(bytes, data, size);
    if (outbox_record_get(strid_bytes_of(bytes, size), &headers, &letter))
        write_back(&letter);
    if (retry_record_get(strid_bytes_of(bytes, size), &headers, &waiting))
        write_back(&(struct outbox_record){.letter = waiting});
    if (retry_record_get_head(strid_bytes_of(bytes, size), &head)) {
        retry_record_put_head(&back, &head);
        STRID_ASSERT(strid_bytes_equal(buffer_bytes(&back), strid_bytes_of(bytes, size)));
    }
    memory_free(bytes);
    buffer_fini(&headers);
    buffer_fini(&back);
    return 0;
}
