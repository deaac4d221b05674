#define XXH_INLINE_ALL
#include "kafka_marks.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>
#include <xxhash.h>

#define COMPONENT "kafka"

enum { SLOTS_FIRST = 256, WORDS = 2, MARKS_MAX = 1 << 22 };

static const char mark_name[] = "strid.dlq.replayed";

void kafka_marks_fini(struct kafka_marks *marks)
{
    memory_free(marks->slots);
    *marks = (struct kafka_marks){0};
}

static void hash_of(strid_bytes id, uint64_t out[WORDS])
{
    XXH128_hash_t wide = XXH3_128bits(id.data, id.len);
    out[0] = wide.low64;
    out[1] = wide.high64 | 1; /* never both 0 */
}

/* Where the hash is, or the free slot where it belongs. */
static uint64_t *find(uint64_t *slots, size_t slot_count, const uint64_t hash[WORDS])
{
    for (size_t at = hash[0] & (slot_count - 1);; at = (at + 1) & (slot_count - 1)) {
        uint64_t *slot = slots + at * WORDS;
        if ((slot[0] == hash[0] && slot[1] == hash[1]) || slot[1] == 0)
            return slot;
    }
}

static void grow(struct kafka_marks *marks)
{
    size_t slot_count = marks->slot_count == 0 ? SLOTS_FIRST : marks->slot_count * 2;
    uint64_t *slots = memory_alloc_zeroed(slot_count * WORDS * sizeof *slots);
    for (size_t i = 0; i < marks->slot_count; i++) {
        const uint64_t *hash = marks->slots + i * WORDS;
        if (hash[1] != 0)
            memcpy(find(slots, slot_count, hash), hash, WORDS * sizeof *slots);
    }
    memory_free(marks->slots);
    marks->slots = slots;
    marks->slot_count = slot_count;
}

static strid_status add(struct kafka_marks *marks, strid_bytes id, strid_error *err)
{
    uint64_t hash[WORDS];
    hash_of(id, hash);
    if (marks->count * 2 >= marks->slot_count)
        grow(marks);
    uint64_t *slot = find(marks->slots, marks->slot_count, hash);
    if (slot[1] != 0)
        return STRID_OK;
    if (marks->count == MARKS_MAX)
        return error_set(err, STRID_ELIMIT, COMPONENT,
                         "more than %d letters of this queue were handed back: delete its records "
                         "up to some offset (kafka-delete-records), or use another queue",
                         MARKS_MAX);
    memcpy(slot, hash, sizeof hash);
    marks->count++;
    return STRID_OK;
}

strid_status kafka_marks_take(struct kafka_marks *marks, const rd_kafka_message_t *message,
                              bool *is_mark, strid_error *err)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;
    *is_mark = false;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return STRID_OK;
    /* Only the last one: a mark that became a dead letter itself has others behind it. */
    size_t count = rd_kafka_header_cnt(headers);
    if (count == 0 || rd_kafka_header_get_all(headers, count - 1, &name, &value, &len) != 0 ||
        strcmp(name, mark_name) != 0)
        return STRID_OK;
    *is_mark = true;
    return add(marks, strid_bytes_of(value, len), err);
}

bool kafka_marks_has(const struct kafka_marks *marks, strid_bytes id)
{
    uint64_t hash[WORDS];
    if (marks->count == 0)
        return false;
    hash_of(id, hash);
    return find(marks->slots, marks->slot_count, hash)[1] != 0;
}

rd_kafka_headers_t *kafka_marks_headers(strid_bytes id)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    /* Fails for want of memory only, which ends the process. */
    (void)rd_kafka_header_add(headers, mark_name, (ssize_t)sizeof mark_name - 1, id.data,
                              (ssize_t)id.len);
    return headers;
}
