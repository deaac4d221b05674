/* Records of one partition between push and acknowledgement, in the order of their numbers, in
 * slabs of bytes. Whoever uses a queue holds its lock; these functions take none.
 *
 *   slab ─> slab ─> slab
 *     ^kept    ^read  ^pushed      kept <= read <= pushed
 */
#ifndef MEMORY_QUEUE_H
#define MEMORY_QUEUE_H

#include <stdbool.h>

#include <strid/bytes.h>
#include <strid/status.h>

struct memory_slab;

/* A place in the queue: in front of the record `number`. */
struct memory_place {
    struct memory_slab *slab; /* NULL: no slab yet */
    size_t offset;
    uint64_t number;
};

struct memory_queue {
    struct memory_slab *tail;
    struct memory_place kept; /* the first record not acknowledged */
    struct memory_place read; /* the next record to be read */
    uint64_t pushed;          /* number of the next record to be pushed */
    uint64_t bytes;           /* of the records from `kept` on */
};

struct memory_record {
    strid_bytes key;
    strid_bytes value;
    int64_t timestamp_ms;
};

void memory_queue_fini(struct memory_queue *queue);

/* What a record takes of the capacity. */
uint64_t memory_queue_record_bytes(strid_bytes key, strid_bytes value);
void memory_queue_push(struct memory_queue *queue, strid_bytes key, strid_bytes value,
                       int64_t timestamp_ms);

/* The record at `read`, without moving on; its bytes live until it is acknowledged. False: none. */
bool memory_queue_peek(struct memory_queue *queue, struct memory_record *record);
void memory_queue_advance(struct memory_queue *queue);

/* Puts `read` in front of the record `number`, which lies in [kept, pushed]. */
void memory_queue_go_to(struct memory_queue *queue, uint64_t number);

/* Forgets the records below `number`, at most those that were read. */
void memory_queue_forget(struct memory_queue *queue, uint64_t number);

#endif
