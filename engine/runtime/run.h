/* A run: all agents of a pipeline from one opening of its state directory to the closing, with the
 * rings between them. After a failure of the store the run is destroyed, and another one goes on
 * from what is durable.
 *
 * Rings (each with one producer and one consumer):
 *   reader r -> worker w        chunks           worker w -> committer    chunks that were handled
 *   reader r -> committer       closed rounds    committer -> reader r    chunks, rounds
 *   worker w -> storage         sealed blocks    storage -> worker w      blocks to use again
 *   worker w -> acknowledger    what it applied  acknowledger -> worker w    what can be forgotten
 *   worker w -> delivery d      sealed blocks' outputs for d (storage waits for block->pending)
 *   worker w -> last delivery   letters of its outbox      and back when they are delivered
 *   committer -> storage        low positions (told back by storage->lows_synced) */
#ifndef RUNTIME_RUN_H
#define RUNTIME_RUN_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "concurrent/agent.h"
#include "concurrent/ring.h"
#include "pipeline/definition.h"
#include "runtime/chunk.h"
#include "runtime/instance.h"
#include "runtime/output.h"
#include "runtime/suspect.h"
#include "state/directory.h"

enum {
    RUN_CACHE_LINE = 64,
    RUN_SPAN = 128,
    RUN_NODE_MAX = 64,
    RUN_CONTINUE = 0, /* run->stop: go on; drain; stop at once */
    RUN_DRAIN = 1,
    RUN_HALT = 2
};
#define RUN_HELD_BY_NONE UINT32_MAX

struct reader;
struct worker;
struct storage;
struct materialiser;
struct delivery;
struct committer;
struct acknowledger;
struct deferrals;

struct partition {
    strid_origin origin;
    struct directory_partition *stored; /* constant while the run runs */
    uint32_t index;
    uint64_t key_hash;    /* vshard and place of records without a key */
    uint8_t key_bytes[4]; /* their key in the stores */
    bool replays;         /* the tables say that something was applied before */
    strid_position
        replay_to; /* highest position in the tables: behind it no look at them is needed */
    uint64_t bytes_total;
    _Atomic uint32_t epoch;
    _Atomic uint64_t bytes_read; /* @thread reader; position.low of what was read, for figures */
    /* What waits or is parked for its account, written by workers; and the partition that is to
     * blame where its own records are parked behind one that is over its bound. Relaxed: bounds
     * need no exactness. */
    _Atomic uint64_t waiting_records, waiting_bytes;
    _Atomic uint32_t held_by; /* RUN_HELD_BY_NONE, or an index */
};

/* A block on its way. Owner: worker (open) -> storage (sealed), deliveries reading outputs until
 * `pending` is 0. */
struct sealed_block {
    struct buffer bytes;
    uint64_t sequence; /* of the worker, from 1 */
    uint32_t worker;
    uint32_t output_count;
    struct output_list *outputs; /* one per delivery */
    _Atomic uint32_t
        pending; /* deliveries that have not yet reported; release by them, acquire by storage */
};

struct run_options {
    const struct definition *definition;
    const struct clock *clock;
    const struct log *log;
    const struct store_ops *store_ops; /* NULL: by the definition's state URL */
    strid_source *source;              /* open */
    struct sink_instance *sinks;       /* one per definition->sinks, then the dead-letter queue */
    uint64_t new_seed;                 /* for a new state directory */
    uint8_t new_id[DIRECTORY_ID_BYTES];
    /* Knobs; 0: default */
    uint32_t readers;
    uint32_t chunks_per_reader;
    uint32_t chunk_records;
    uint32_t vshards_used; /* the simulator: keys fall into the first so many vshards only */
    int64_t seal_interval_ns;
    uint64_t block_bytes;
    uint64_t redo_bytes;
    uint64_t cache_bytes;  /* per worker */
    uint64_t load_bytes;   /* of whole vshards that a worker loads for one chunk, roughly */
    uint64_t grown_bytes;  /* per reader: arenas of chunks beyond their usual size */
    uint64_t output_bytes; /* of a block: it is sealed then */
    uint64_t outbox_entries, outbox_bytes; /* of a worker: it takes no chunks then */
    uint64_t outbox_refs;                  /* the same, in memory */
    uint64_t write_buffer, block_cache;
    struct deferrals *deferrals; /* of the pipeline; NULL: the run makes its own */
    struct crash_slots_file
        *crash_memory;      /* tests: takes the place of the file, outlives the run */
    struct store **kept;    /* where a store in memory stays between two runs; NULL: nowhere */
    struct parker *control; /* where the control thread sleeps while the run runs; NULL: nowhere */
};

struct run {
    struct run_options options;
    const struct definition *definition;
    const struct clock *clock;
    const struct log *log;
    char node[RUN_NODE_MAX];
    struct directory *directory;
    const strid_source_ops *source_ops;
    strid_source *source;
    struct partition *partitions;
    uint32_t partition_count;
    uint32_t known_count;   /* with those behind them that only the directory still knows */
    uint32_t *partition_of; /* by number in the directory: index + 1; 0: no such number */
    uint32_t number_count;
    struct reader *readers;
    struct worker *workers;
    struct delivery *deliveries; /* one per sink, then the dead-letter queue's */
    struct storage *storage;
    struct materialiser *materialiser;
    struct committer *committer;
    struct acknowledger *acknowledger; /* of a source without order; else NULL */
    struct suspects suspects;
    struct deferrals *deferrals;
    uint32_t reader_count, worker_count, delivery_count;
    uint8_t worker_of[KEY_VSHARDS];
    bool state_may_fit; /* all that is materialised may have room in the caches */
    uint8_t store_numbers[DEFINITION_STORES_MAX + 1]; /* strid_store -> number in the directory */
    int64_t ttl_ms[KEY_STORE_MAX + 1];                /* by number in the directory; 0: none */
    bool ttl_left[KEY_STORE_MAX + 1]; /* has none any more, and perhaps entries that expire */
    int64_t ttl_min_ms;               /* the shortest of them; 0: no store has one, or had one */
    _Atomic uint32_t stop;            /* RUN_CONTINUE, RUN_DRAIN, RUN_HALT; only ever rises */
    _Atomic bool finished;            /* @thread committer: everything read is durable and told */
    _Atomic bool failed; /* release after `error` is set; pairs with the acquire in run_failed */
    pthread_mutex_t error_lock; /* guards `error` and `gap`: the first failure of any agent wins */
    strid_error error;
    strid_error gap; /* why the first partition stopped; the run fails with it when it has ended */
    int64_t started_ns;
};

/* Opens the state, recovers, assigns partitions, makes all agents; starts no thread. */
strid_status run_create(const struct run_options *options, struct run **out, strid_error *err);
void run_destroy(struct run *run); /* threads have ended */

strid_status run_start(struct run *run, strid_error *err);
void run_join(struct run *run); /* tells all agents to stop and waits for them */

/* All agents, for whoever pumps them. At most `capacity` are written; returns how many there are.
 */
uint32_t run_agents(struct run *run, struct agent **out, uint32_t capacity);

/* All agents look for what they have to do. @thread control */
void run_wake(struct run *run);
/* The run has failed or finished. @thread any */
void run_tell_control(const struct run *run);
/* The first failure ends the run. @thread any */
void run_fail(struct run *run, const strid_error *error);
bool run_failed(struct run *run);
/* One partition stops where it is; said at once, and what the run ends with. @thread reader */
void run_stop_partition(struct run *run, const struct partition *partition, const strid_error *gap);
/* How many reader threads there may be, and what `memory:` comes to. */
uint32_t run_readers_max(void);
uint64_t run_memory(const struct definition *definition, uint32_t readers);
void run_add_stats(struct run *run, strid_pipeline_stats *stats);
/* Keeps for tools how well the caches did. @thread control, behind run_join */
void run_note_figures(struct run *run);

/* Reports handlers that do not come back. @thread control */
struct watchdog;
struct watchdog *watchdog_create(struct run *run);
void watchdog_destroy(struct watchdog *watchdog);
void watchdog_look(struct watchdog *watchdog);

/* The partition that the state directory has under that number; NULL: none. Also one that the
 * source no longer has: nothing is read of it, but records of it may wait. @thread any */
struct partition *run_partition(const struct run *run, uint32_t number);

/* The hash by which a key has its vshard: that of its bytes, but in the simulator. */
static inline uint64_t run_hash(const struct run *run, uint64_t hash)
{
    if (__builtin_expect(run->options.vshards_used != 0, 0))
        hash = (hash & (UINT64_MAX >> 8)) | (hash >> 56) % run->options.vshards_used << 56;
    return hash;
}

/* The hash of a record key. run_open.c */
uint64_t run_hash_key(const struct run *run, strid_bytes key);

static inline uint32_t run_stop(const struct run *run)
{
    return atomic_load_explicit(&run->stop, memory_order_acquire);
}

#endif
