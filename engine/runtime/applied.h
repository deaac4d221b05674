/* What a source without order (STRID_SOURCE_UNORDERED) delivered and this node has applied, until
 * it is acknowledged and cannot come again: the set that a redelivered record is looked up in, and
 * the batches in which positions are kept, acknowledged and forgotten.
 *
 * A batch is what one worker applied in one block (or a part of that). It is one entry of the
 * engine's store APPLIED_STORE, put into that very block, so that state and the knowledge that it
 * is applied become durable at once; and it is deleted as a whole:
 *
 *   open ──seal──> durable ──ack_many──> told ──acked──> confirmed ──rounds──> forgotten
 *   worker         storage               acknowledger                           worker
 *
 * "rounds": every chunk that was read before the confirmation has been handled; only then can no
 * chunk hold a copy of the record any more. What a crash leaves is told again by the next run.
 *
 * A record that waits, is parked, deferred, or has a dead letter on its way is not settled: its
 * position is in the set, so that a copy of it is known, and comes into a batch when it is. Until
 * then the store of waiting positions (runtime/worker_applied_waiting.h) or the outbox says it.
 *
 * Of a partition that the source does not have in this run nobody is told. Its positions stay in
 * the stored batches until a run has it again. */
#ifndef RUNTIME_APPLIED_H
#define RUNTIME_APPLIED_H

#include <strid/record.h>

#include "base/buffer.h"
#include "state/key.h"

enum {
    APPLIED_STORE = 0x73,
    APPLIED_BATCH_MAX = 16384, /* items: what bounds the entry */
    APPLIED_KEY_BYTES = 20
};

struct run;

enum applied_state {
    APPLIED_SETTLED = 0,
    APPLIED_WAITS, /* not to be acknowledged yet; in hand once, however often it was delivered */
    APPLIED_FREE = UINT8_MAX
};

struct applied_item {
    strid_position position;
    uint32_t partition; /* index in the run, also of one that its source no longer has */
    uint8_t vshard;     /* of the record's key: its owner looks the position up */
    uint8_t state;      /* enum applied_state, in a set */
};

struct applied_batch {
    struct applied_batch *behind;
    struct buffer items;
    uint8_t key[APPLIED_KEY_BYTES]; /* of its entry */
    uint32_t hash;                  /* of its entry: a vshard of the worker that made it */
    uint64_t block;                 /* sequence of the worker's block that contains it */
    bool confirmed;
    uint64_t *targets; /* per partition; @thread committer: of acknowledgements, then of rounds */
};

struct applied_batch *applied_batch_create(uint32_t partition_count);
void applied_batch_destroy(struct applied_batch *batch); /* NULL is fine */

static inline uint32_t applied_batch_count(const struct applied_batch *batch)
{
    return (uint32_t)(batch->items.len / sizeof(struct applied_item));
}

static inline const struct applied_item *applied_batch_items(const struct applied_batch *batch)
{
    return (const struct applied_item *)(const void *)batch->items.data;
}

/* The value of a batch's entry, of its partitions from the index `from` on. They stand in it by
 * their numbers in the directory. */
void applied_encode(const struct run *run, const struct applied_batch *batch, uint32_t from,
                    struct buffer *out);
/* Adds the items of an entry. false: the entry is damaged. */
bool applied_decode(const struct run *run, strid_bytes value, struct applied_batch *batch);
/* The value of an entry without the positions of a partition, by its number in the directory, from
 * `from` on: what is left goes to `out`, how many went is added to `gone`. false: as above. */
bool applied_leave_out(strid_bytes value, uint32_t partition, strid_position from,
                       struct buffer *out, uint32_t *gone);

/* Positions, by open addressing. A zeroed struct is an empty set. */
struct applied_set {
    struct applied_item *slots;
    size_t slot_count, count;
};

void applied_set_fini(struct applied_set *set);
void applied_set_add(struct applied_set *set, const struct applied_item *item); /* idempotent */
/* Where it stands there in the state of the item. */
void applied_set_remove(struct applied_set *set, const struct applied_item *item);
bool applied_set_has(const struct applied_set *set, uint32_t partition, strid_position position);
/* Its item, to be changed in place until the next addition or removal; NULL: it is not there. */
struct applied_item *applied_set_find(const struct applied_set *set, uint32_t partition,
                                      strid_position position);
/* Asks for the slot of a position that is about to be looked up, added or removed: the set is
 * larger than the caches, and waiting for a slot takes longer than all else that is done with it.
 */
void applied_set_prefetch(const struct applied_set *set, uint32_t partition,
                          strid_position position);

#endif
