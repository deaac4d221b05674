#define XXH_INLINE_ALL
#include "kafka_marks.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>
#include <xxhash.h>

#define COMPONENT "kafka"

enum { SLOTS_FIRST = 256, MARKS_MAX = 1 << 22 };

struct kafka_marks_slot {
    XXH128_hash_t hash;
    int64_t offset;
    uint32_t place;
    uint32_t kind; /* KAFKA_MARK_NONE: free */
};

static const char *const names[] = {
    [KAFKA_MARK_REPLAYED] = "strid.dlq.replayed",
    [KAFKA_MARK_PURGED] = "strid.dlq.purged",
};

void kafka_marks_fini(struct kafka_marks *marks)
{
    memory_free(marks->slots);
    *marks = (struct kafka_marks){0};
}

/* Where the hash is, or the free slot where it belongs. */
static struct kafka_marks_slot *find(struct kafka_marks_slot *slots, size_t slot_count,
                                     XXH128_hash_t hash)
{
    for (size_t at = hash.low64 & (slot_count - 1);; at = (at + 1) & (slot_count - 1))
        if (slots[at].kind == KAFKA_MARK_NONE || XXH128_isEqual(slots[at].hash, hash))
            return &slots[at];
}

static void grow(struct kafka_marks *marks)
{
    size_t slot_count = marks->slot_count == 0 ? SLOTS_FIRST : marks->slot_count * 2;
    struct kafka_marks_slot *slots = memory_alloc_zeroed(slot_count * sizeof *slots);
    for (size_t i = 0; i < marks->slot_count; i++)
        if (marks->slots[i].kind != KAFKA_MARK_NONE)
            *find(slots, slot_count, marks->slots[i].hash) = marks->slots[i];
    memory_free(marks->slots);
    marks->slots = slots;
    marks->slot_count = slot_count;
}

static strid_status add(struct kafka_marks *marks, strid_bytes id, struct kafka_mark mark,
                        strid_error *err)
{
    XXH128_hash_t hash = XXH3_128bits(id.data, id.len);
    if (marks->count * 2 >= marks->slot_count)
        grow(marks);
    struct kafka_marks_slot *slot = find(marks->slots, marks->slot_count, hash);
    if (slot->kind > (uint32_t)mark.kind)
        return STRID_OK;
    if (slot->kind == KAFKA_MARK_NONE && marks->count == MARKS_MAX)
        return error_set(err, STRID_ELIMIT, COMPONENT,
                         "more than %d letters of this queue were handed back or purged: delete "
                         "its records up to some offset (kafka-delete-records), or use another "
                         "queue",
                         MARKS_MAX);
    marks->count += slot->kind == KAFKA_MARK_NONE ? 1 : 0;
    *slot = (struct kafka_marks_slot){
        .hash = hash, .offset = mark.offset, .place = mark.place, .kind = (uint32_t)mark.kind};
    return STRID_OK;
}

/* Only the last header says it: a mark that became a dead letter itself has others behind it. */
static enum kafka_mark_kind kind_of(const rd_kafka_message_t *message, strid_bytes *id)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return KAFKA_MARK_NONE;
    size_t count = rd_kafka_header_cnt(headers);
    if (count == 0 || rd_kafka_header_get_all(headers, count - 1, &name, &value, &len) != 0)
        return KAFKA_MARK_NONE;
    *id = strid_bytes_of(value, len);
    for (enum kafka_mark_kind kind = KAFKA_MARK_REPLAYED; kind <= KAFKA_MARK_PURGED; kind++)
        if (strcmp(name, names[kind]) == 0)
            return kind;
    return KAFKA_MARK_NONE;
}

strid_status kafka_marks_take(struct kafka_marks *marks, const rd_kafka_message_t *message,
                              uint32_t place, bool *is_mark, strid_error *err)
{
    strid_bytes id = {0};
    struct kafka_mark mark = {kind_of(message, &id), place, message->offset};
    *is_mark = mark.kind != KAFKA_MARK_NONE;
    return *is_mark ? add(marks, id, mark, err) : STRID_OK;
}

void kafka_marks_note(struct kafka_marks *marks, strid_bytes id, struct kafka_mark mark)
{
    (void)add(marks, id, mark, NULL);
}

bool kafka_marks_is_one(const rd_kafka_message_t *message)
{
    strid_bytes id = {0};
    return kind_of(message, &id) != KAFKA_MARK_NONE;
}

struct kafka_mark kafka_marks_find(const struct kafka_marks *marks, strid_bytes id)
{
    if (marks->count == 0)
        return (struct kafka_mark){0};
    const struct kafka_marks_slot *slot =
        find(marks->slots, marks->slot_count, XXH3_128bits(id.data, id.len));
    return (struct kafka_mark){(enum kafka_mark_kind)slot->kind, slot->place, slot->offset};
}

rd_kafka_headers_t *kafka_marks_headers(enum kafka_mark_kind kind, strid_bytes id)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    /* Fails for want of memory only, which ends the process. */
    (void)rd_kafka_header_add(headers, names[kind], -1, id.data, (ssize_t)id.len);
    return headers;
}
