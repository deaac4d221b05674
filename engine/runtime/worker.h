/* Worker: owns vshards and everything keyed by them, so that it needs no lock. Takes chunks,
 * fetches the state they touch, runs the handlers record by record, and seals what changed into
 * blocks. */
#ifndef RUNTIME_WORKER_H
#define RUNTIME_WORKER_H

#include "runtime/applied.h"
#include "runtime/outbox.h"
#include "runtime/backoff.h"
#include "runtime/route.h"
#include "runtime/run.h"
#include "runtime/waiting_change.h"
#include "state/cache.h"

enum {
    WORKER_RETRY_RECORDS = 64,    /* whose time has come, handled in one step */
    WORKER_DEFERRED_RECORDS = 64, /* whose outcome has come, settled in one step */
    WORKER_SWEEP_ENTRIES = 256,   /* looked at in the store in one step */
    WORKER_PARTS =
        16, /* what one fetch brings into the cache, or one step changes: so much of it */
    WORKER_BLOCKS = 4, /* of one worker: one is open, the others are on their way */
    WORKER_PARK_NS = 10000000,
    WORKER_IDLE_NS = 1000000,      /* so long without a chunk is idle, at least; */
    WORKER_IDLE_MAX_NS = 20000000, /* and at most: worker_block.c */
    CONTEXT_WRITES_MAX = DEFINITION_STORES_MAX,
    CONTEXT_REASON_MAX = 200
};

/* A state write that waits for the record's outcome. */
struct context_write {
    struct cache_entry *entry; /* where it goes; NULL: the key was not in the cache */
    size_t bytes_at;           /* in context->bytes, kind BYTES */
    size_t bytes_len;
    uint64_t number; /* kinds I64 and F64 */
    strid_state_kind kind;
    uint8_t store;
};

/* The same for a subkey. */
struct context_sub_write {
    size_t name_at; /* in context->bytes: record key, subkey */
    size_t value_at, value_len;
    uint32_t name_len;
    uint32_t hash; /* of store and subkey, for the table */
    strid_state_kind kind;
    uint16_t sub_len;
    uint8_t store;
};

/* They are looked for one by one while they are few, then by a hash table. */
struct context_subs {
    struct context_sub_write *writes;
    uint32_t count, capacity;
    uint32_t *table; /* indexes + 1, open addressing; of table_size, a power of two, or 0 */
    uint32_t table_size;
};

/* What the handlers of one record share: its write set and its outputs. Entries of the cache do not
 * move while a record is handled: they move when a write set is merged, and are evicted between
 * chunks. */
struct strid_context {
    struct worker *worker;
    const strid_record *record;
    struct partition *partition;
    struct route *route;
    uint32_t hash;      /* upper half of the key's hash */
    strid_bytes key;    /* in the stores */
    uint8_t store_flag; /* KEY_STORE_KEYLESS or 0 */
    uint32_t attempt;
    uint32_t write_count;
    struct context_write writes[CONTEXT_WRITES_MAX];
    struct context_subs subs; /* writes of subkeys */
    struct buffer bytes;
    struct buffer outgrown; /* uint8_t *: what `bytes` was before it grew; handlers hold views */
    uint8_t memo_store;     /* the entry that was looked up last */
    struct cache_entry *memo_entry;
    uint32_t output_count;
    bool failed; /* the store failed: nothing of this record counts */
    bool full;   /* so is the part of the chunk: it ends behind this record */
    uint8_t number[8];
    char reason[CONTEXT_REASON_MAX + 1];
};

/* Whether something is to be looked at behind a record: both in one comparison. */
static inline bool context_ends(const struct strid_context *context)
{
    uint16_t both;
    _Static_assert(offsetof(struct strid_context, full) ==
                       offsetof(struct strid_context, failed) + 1,
                   "both are looked at at once");
    memcpy(&both, &context->failed, sizeof both);
    return both != 0;
}

/* Highest position handled in this run, per partition. */
struct worker_progress {
    strid_position position;
    bool any, changed;
};

/* Where the removal of expired entries is. */
struct worker_sweep {
    bool running, store_done;
    bool left_seen, left_done; /* something that expires in this pass; nothing in the last one */
    int64_t next_ms;           /* when the next pass begins */
    uint32_t chunks;           /* since the last step */
    size_t slots_left;         /* of the cache, in this pass */
    uint32_t vshard, store;    /* of the range of the store that is looked through */
    struct buffer from;        /* key to go on from; empty: the beginning of that range */
    uint32_t seen;
};

/* Of a source without order: what was applied and may come again. */
struct worker_applied {
    struct applied_set set;
    struct applied_batch *open;               /* of the open block; NULL: nothing yet */
    struct applied_batch *ready, *ready_last; /* to be handed over once their block is */
    strid_position *highest;                  /* per partition: behind it nothing can be in `set` */
    struct buffer value;
    uint64_t made; /* batches in this run */
    bool is_kept;  /* the record in hand is not to be acknowledged yet */
    /* Written by the worker, for the end of the run: batches that are not forgotten, and the
     * sequence of the block in which the last one was. */
    _Atomic uint64_t batches, forgotten_in;
};

struct worker_tally {
    uint64_t records, done, skipped, unrouted, replayed;
};

struct worker_counters { /* written by the worker only, relaxed: figures */
    _Atomic uint64_t records, done, skipped, unrouted, retried, dead_lettered, replayed, outputs;
    _Atomic uint64_t lookups, misses, timed_out, handed_over;
};

/* What the fetch of a chunk found out about one of its records. */
struct worker_found {
    struct route *route;
    struct cache_entry *entry; /* of the first store of the route, while the cache has moved nothing
                                  since; NULL: not known */
    uint32_t hash;             /* upper half of the key's */
};

/* Records that wait or are parked: worker_retry.c. */
struct worker_retry {
    struct waiting waiting;
    struct waiting_changes changes; /* since the last block was sealed */
    /* What is yet to be added to the account of one partition; NULL: no one's yet. */
    struct partition *account;
    int64_t account_records, account_bytes;
    bool untold; /* something changed since worker_retry_tell() */
    struct backoff backoff;
    struct backoff_random random;
    struct waiting_key *key; /* of the record in hand; NULL: it comes from a chunk */
    bool again;              /* it waits again */
    uint64_t parks;          /* records parked so far */
    bool loaded;
    uint64_t marked[KEY_VSHARDS / 64]; /* bit of a vshard: the stores say that keys of it wait */
    uint64_t last_seq;                 /* highest sequence that any key here has used */
    uint64_t cache_bytes;    /* of the cache before anything waits: the table takes from it */
    uint64_t taken_max;      /* the most that it took */
    struct decoder *decoder; /* of the fields of waiting records; NULL: not yet needed */
    struct buffer bytes, headers, fault;
    struct chunk_slot slot; /* the record in hand */
    strid_bytes topic;      /* its own, as its copy says; valid as long as the record */
    /* Release, for the committer: what waits, and the block with the newest change of it. */
    _Atomic uint64_t open_keys, open_records, open_bytes, sequence;
    _Atomic bool known; /* release, after the figures: they are those of the store */
};

/* A record whose outcome comes later, in its place: worker_deferred.c. */
struct worker_deferral {
    struct waiting_key *key; /* NULL: free, or pending */
    struct context_write *writes;
    struct context_subs subs;
    struct buffer bytes, outputs;
    char *reason; /* that the handlers gave; NULL: none */
    uint32_t write_count, output_count;
    int64_t until_ns;    /* then it has timed out */
    strid_outcome worst; /* of those that are known */
    bool timed_out;
    uint32_t next_free; /* place + 1 */
};

struct worker_deferred {
    struct worker_deferral *places;  /* NULL: nothing was ever deferred */
    uint32_t used, first_free, open; /* place + 1 each, but `open` */
    struct worker_deferral *pending; /* of the record in hand, or one that is to be withdrawn */
    /* Of `pending`: */
    const struct partition *partition;
    strid_position position;
    uint32_t attempt;
    strid_token token;
    int64_t limit_ns; /* the shortest time-out of those handlers that asked; 0: none has one */
    int64_t looked_ns;
    _Atomic uint32_t open_shown; /* release, for the committer */
};

/* Which records of the chunk in hand are handled in one step: all of them, unless what they bring
 * into the cache, or change in it, is too much at once. worker_part.h */
struct worker_part {
    uint64_t held_max; /* bytes of the cache from which on the part is full */
    uint32_t next;     /* the first record that was not handled */
    uint32_t fetched;  /* the state of the records before it is in the cache */
    uint32_t first;    /* of the part */
    uint32_t answered; /* keys, of those that were read from the store last */
    bool in_chunk;     /* they are of a chunk, and need not all be read now */
};

struct worker {
    struct agent agent;
    struct run *run;
    uint32_t index;
    uint32_t next_reader;
    struct ring **from_readers;
    struct cache cache;
    struct route_table routes;
    struct worker_progress *progress; /* per partition */
    uint32_t open_chunks;             /* handled since the last block was sealed */
    struct sealed_block *block;       /* the open one; NULL: all are on their way */
    struct sealed_block *blocks[WORKER_BLOCKS];
    struct sealed_block *free_blocks[WORKER_BLOCKS];
    uint32_t free_count;
    uint64_t sequence;    /* of the open block */
    int64_t opened_at_ns; /* when the first chunk of the open block was handled */
    int64_t busy_at_ns;   /* when the last chunk was */
    uint32_t unsent;      /* completions since the committer was woken */
    int64_t unsent_since_ns;
    bool starving;  /* nothing can be evicted: wait for the materialiser */
    bool dirty;     /* the open block has changes that no chunk made */
    int64_t now_ms; /* wall clock of the chunk in hand, where a store has a TTL */
    struct worker_sweep sweep;
    struct worker_applied applied;
    struct outbox outbox;
    struct strid_context context;
    uint32_t loaded_vshards;
    uint64_t load_until; /* bytes in the cache up to which the fetch in hand loads whole vshards */
    struct worker_part part;
    bool load_damaged; /* a scan of a vshard met an entry that fails its checksum */
    struct worker_found found[CHUNK_RECORDS_MAX]; /* per slot of the chunk in hand */
    uint64_t fetch_moves; /* cache.moves when the chunk in hand was fetched */
    struct buffer fetch_bytes, fetch_keys, fetch_misses; /* what a chunk misses in the cache */
    struct buffer sub_name;     /* a record key and its subkey, for the look-up in hand */
    struct crash_slot *mark;    /* which record is in hand */
    bool has_gate;              /* has it, or waits for others to stand still before it */
    bool wants_gate;            /* it has it and met a suspect in this step that waits for it */
    struct chunk *held;         /* to be handled next: it has a suspect, and waits for the gate, or
                                   was handled in part; NULL: none */
    _Atomic uint64_t gate_seen; /* the gate, as it was when this worker stood still before it */
    /* What the watchdog looks at besides the mark: how many calls there were. */
    struct {
        _Alignas(RUN_SPAN) _Atomic uint64_t calls; /* stored only: it counts on from `call_count` */
        _Atomic uint32_t partition;                /* index in the run, of the chunk in hand */
        _Atomic uint32_t route;
        _Atomic uint64_t overdue; /* @thread control: number of the call that ran too long */
    } hand;
    uint64_t call_count;
    struct worker_retry retry;
    struct worker_deferred deferred;
    struct worker_tally tally; /* of the chunk in hand, added to the counters behind it */
    struct worker_counters counters;
};

void worker_init(struct worker *worker, struct run *run, uint32_t index, uint64_t cache_bytes);
void worker_fini(struct worker *worker);
int worker_do_work(void *worker);

/* worker_handle.c: runs the handlers of each record of the part of a chunk that was fetched. Sets
 * context.failed where a record could not be settled, and part.next to where it ended. */
void worker_handle_part(struct worker *worker, struct chunk *chunk);
/* The records from..to-1 of it; false: not to the end. */
bool worker_handle_range(struct worker *worker, struct chunk *chunk, uint32_t from, uint32_t to);

/* worker_suspect.c: while there are suspects. From part.next on. */
bool worker_suspect_is_ready(struct worker *worker, struct chunk *chunk); /* false: wait */
void worker_suspect_handle(struct worker *worker, struct chunk *chunk);

/* The same for one record, which was tried `attempt` times. context.partition is set. */
void worker_handle_one(struct worker *worker, struct chunk_slot *slot,
                       const struct worker_found *found, uint32_t attempt);
/* What becomes of a record, in context, by the outcome of its handlers. */
void worker_handle_settle(struct worker *worker, struct chunk_slot *slot, strid_outcome outcome);
/* Adds up what was handled. */
void worker_handle_count(struct worker *worker);

/* worker_block.c */
/* A block to collect in: without one (false) nothing can be handled. */
bool worker_block_open(struct worker *worker);
/* Whether it is time to seal: by interval, by size, or because there is nothing else to do. */
bool worker_block_is_due(const struct worker *worker, bool idle, int64_t now);
/* How long to sleep, where there is nothing to do, for the block to be sealed in time. */
int64_t worker_block_wait_ns(const struct worker *worker, int64_t now);
/* Packs what changed since the last block, hands it over and goes on. */
void worker_block_seal(struct worker *worker);

/* worker_state.c: the state of a chunk's records is brought into the cache before the first is
 * handled: from part.next to part.fetched, which is the end unless that takes too many bytes. */
strid_status worker_fetch(struct worker *worker, struct chunk *chunk, strid_error *err);
/* Whether the cache now holds all of the vshard, which is brought there where all state may fit. */
bool worker_load(struct worker *worker, uint32_t hash);
struct cache_entry *worker_fetch_one(struct worker *worker, const struct cache_key *key,
                                     strid_error *err); /* NULL: the store failed */
/* Those that are not in the cache, by one batched read; the keys' bytes have to last. */
strid_status worker_fetch_keys(struct worker *worker, const struct cache_key *keys, uint32_t count,
                               strid_error *err);
/* worker_sweep.c: deletes entries whose time to live is over, a bounded step a call: now and then
 * between chunks, all the time while idle. Returns whether there was something to do. */
int worker_sweep(struct worker *worker, bool idle);
/* context.c */
void context_begin(struct strid_context *context, struct worker *worker,
                   const struct chunk_slot *slot, const struct worker_found *found);
void context_merge(struct strid_context *context); /* STRID_DONE: the writes take effect */
void context_free_outgrown(struct strid_context *context);
void context_drop(struct strid_context *context); /* neither writes nor outputs */
struct cache_entry *context_entry(struct strid_context *context, uint8_t store);
/* Copies bytes to where they live until the record is done with; returns where in context->bytes.
 */
size_t context_keep(struct strid_context *context, strid_bytes bytes);
int64_t context_expiry(const struct worker *worker, uint8_t store); /* of a value written now */

/* context_sub.c: the writes of subkeys. */
void context_sub_merge(struct strid_context *context);
void context_sub_drop(struct strid_context *context);
void context_sub_fini(struct strid_context *context);

static inline void worker_count(_Atomic uint64_t *counter, uint64_t more)
{
    /* One writer: no read-modify-write is needed. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

#endif
