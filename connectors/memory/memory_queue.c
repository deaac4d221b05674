#include "memory_queue.h"

#include "base/assert.h"
#include "base/memory.h"

enum { SLAB_BYTES = 64 * 1024 };

struct memory_slab {
    struct memory_slab *next;
    size_t used;
    size_t capacity;
    uint8_t data[];
};

struct head {
    uint64_t key_len; /* ABSENT: no key */
    uint64_t value_len;
    int64_t timestamp_ms;
};

#define ABSENT UINT64_MAX

static uint64_t len_of(uint64_t stored) { return stored == ABSENT ? 0 : stored; }

static size_t size_of(const struct head *head)
{
    return sizeof *head + (size_t)len_of(head->key_len) + (size_t)len_of(head->value_len);
}

uint64_t memory_queue_record_bytes(strid_bytes key, strid_bytes value)
{
    return sizeof(struct head) + key.len + value.len;
}

static struct memory_slab *tail_with_room(struct memory_queue *queue, size_t size)
{
    struct memory_slab *tail = queue->tail;
    if (tail != NULL && tail->capacity - tail->used >= size)
        return tail;
    size_t capacity = size > SLAB_BYTES ? size : SLAB_BYTES;
    struct memory_slab *slab = memory_alloc(sizeof *slab + capacity);
    *slab = (struct memory_slab){.capacity = capacity};
    if (tail == NULL) {
        queue->kept.slab = slab;
        queue->read.slab = slab;
    } else {
        tail->next = slab;
    }
    queue->tail = slab;
    return slab;
}

void memory_queue_push(struct memory_queue *queue, strid_bytes key, strid_bytes value,
                       int64_t timestamp_ms)
{
    struct head head = {
        .key_len = key.data == NULL ? ABSENT : key.len,
        .value_len = value.data == NULL ? ABSENT : value.len,
        .timestamp_ms = timestamp_ms,
    };
    size_t size = size_of(&head);
    struct memory_slab *slab = tail_with_room(queue, size);
    uint8_t *to = slab->data + slab->used;
    memcpy(to, &head, sizeof head);
    to += sizeof head;
    if (key.len > 0)
        memcpy(to, key.data, key.len);
    if (value.len > 0)
        memcpy(to + key.len, value.data, value.len);
    slab->used += size;
    queue->bytes += size;
    queue->pushed++;
}

/* The record in front of which `place` stands; a place at the end of a slab moves to the next. */
static uint8_t *record_at(struct memory_place *place, struct head *head)
{
    while (place->offset == place->slab->used && place->slab->next != NULL)
        *place = (struct memory_place){.slab = place->slab->next, .number = place->number};
    STRID_ASSERT(place->offset < place->slab->used);
    uint8_t *data = place->slab->data + place->offset;
    memcpy(head, data, sizeof *head);
    return data + sizeof *head;
}

bool memory_queue_peek(struct memory_queue *queue, struct memory_record *record)
{
    if (queue->read.number == queue->pushed)
        return false;
    struct head head;
    const uint8_t *data = record_at(&queue->read, &head);
    size_t key_len = (size_t)len_of(head.key_len);
    *record = (struct memory_record){
        .key = strid_bytes_of(head.key_len == ABSENT ? NULL : data, key_len),
        .value = strid_bytes_of(head.value_len == ABSENT ? NULL : data + key_len,
                                (size_t)len_of(head.value_len)),
        .timestamp_ms = head.timestamp_ms,
    };
    return true;
}

static size_t step(struct memory_place *place)
{
    struct head head;
    (void)record_at(place, &head);
    size_t size = size_of(&head);
    place->offset += size;
    place->number++;
    return size;
}

void memory_queue_advance(struct memory_queue *queue)
{
    STRID_ASSERT(queue->read.number < queue->pushed);
    (void)step(&queue->read);
}

void memory_queue_go_to(struct memory_queue *queue, uint64_t number)
{
    STRID_ASSERT(number >= queue->kept.number);
    STRID_ASSERT(number <= queue->pushed);
    queue->read = queue->kept;
    while (queue->read.number < number)
        (void)step(&queue->read);
}

/* Frees the slabs in front of `slab`, which both places have left. */
static void free_before(struct memory_slab *first, const struct memory_slab *slab)
{
    while (first != slab) {
        struct memory_slab *next = first->next;
        memory_free(first);
        first = next;
    }
}

void memory_queue_forget(struct memory_queue *queue, uint64_t number)
{
    if (number > queue->read.number)
        number = queue->read.number;
    struct memory_slab *first = queue->kept.slab;
    while (queue->kept.number < number)
        queue->bytes -= step(&queue->kept);
    if (queue->kept.number == queue->read.number)
        queue->kept = queue->read;
    free_before(first, queue->kept.slab);
    if (queue->kept.number == queue->pushed && queue->tail != NULL) {
        /* Empty: the last slab begins anew, so that it does not grow for ever. */
        free_before(queue->kept.slab, queue->tail);
        queue->tail->used = 0;
        queue->kept.slab = queue->tail;
        queue->kept.offset = 0;
        queue->read = queue->kept;
    }
}

void memory_queue_fini(struct memory_queue *queue)
{
    free_before(queue->kept.slab, NULL);
    *queue = (struct memory_queue){0};
}
