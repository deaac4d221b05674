/* Outbox of a worker: dead letters on their way to the dead-letter queue. A letter is an entry of
 * an engine's store under its record's key, written in the block that passes the record. That block
 * waits for nobody; once a sync covers it the letter is lent to the delivery, and once that has
 * reported it the entry is deleted, in a later block:
 *
 *   added ──block synced──> lent ──delivered──> deleted ──block synced──> settled
 *
 * What a run leaves is sent again by the next one, before anything new and with the same ids.
 *
 * Letters stay in the order of their sequences, which is the order per key. In memory there is a
 * reference to each; what they say is read from the cache, or the store, when they are lent.
 *
 * All functions: @thread the worker, except where one says otherwise */
#ifndef RUNTIME_OUTBOX_H
#define RUNTIME_OUTBOX_H

#include <stdatomic.h>

#include "concurrent/ring.h"
#include "runtime/output.h"

struct worker;

enum {
    OUTBOX_STORE = 0x72,
    OUTBOX_LISTS = 4,     /* that may be lent at the same time */
    OUTBOX_LETTERS = 256, /* of one list */
    OUTBOX_LIST_BYTES = 256 * 1024
};

/* What a dead letter says beyond its record. */
struct outbox_failure {
    strid_bytes reason;
    uint32_t attempts;
    int64_t first_ms, last_ms; /* wall clock */
};

struct outbox {
    struct buffer refs;    /* one for each letter, oldest first */
    size_t lend_at;        /* where in `refs` those begin that were not lent yet */
    size_t delete_at;      /* and where those do that are not deleted; what is before is void */
    struct buffer value;   /* of the letter in hand */
    struct buffer headers; /* the same */
    struct output_list lists[OUTBOX_LISTS];
    uint32_t lent; /* lists; they come back in order */
    uint32_t next; /* of `lists`: the one that is lent next */
    struct ring *from_delivery;
    uint64_t sequence; /* of the last letter */
    uint64_t deleted;  /* and of the last one that was deleted; they are in order */
    uint64_t entries, bytes;
    bool told_full;
    _Atomic bool loaded;                         /* release: what the run before left is counted */
    _Atomic uint64_t entries_shown, bytes_shown; /* release; pairs with outbox_is_settled() */
    /* `sequence` and `deleted`, relaxed: what they are needed for is seen by another way */
    _Atomic uint64_t added_shown, deleted_shown;
    _Atomic uint64_t deleted_in; /* sequence of the block that holds the last deletion */
};

void outbox_init(struct outbox *outbox);
void outbox_fini(struct outbox *outbox);

/* Adds a letter of a record whose key is `key` in the stores (with KEY_STORE_KEYLESS in `flag`: a
 * partition's), to the open block. */
void outbox_add(struct worker *worker, uint32_t partition, const strid_record *record,
                uint32_t hash, const struct outbox_failure *failure);

/* What there is to do between two chunks, in bounded steps: finds what was left, deletes what was
 * delivered, lends what is synced. Needs an open block and room in the cache. */
int outbox_step(struct worker *worker);

/* Whether no more may be added: the dead-letter queue has to take some first. */
bool outbox_is_full(struct worker *worker);

/* Whether every letter is delivered and its deletion durable. @thread committer */
bool outbox_is_settled(struct worker *worker);

/* How many letters there ever were, for who has seen what the worker did since; and whether so many
 * were delivered. @thread committer */
uint64_t outbox_added(const struct outbox *outbox);
bool outbox_is_past(const struct outbox *outbox, uint64_t sequence);

#endif
