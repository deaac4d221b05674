/* A state directory: the store and what its meta keys say: whose it is, which runs wrote it, where
 * its partitions stand.
 *
 * directory_open() reads and checks everything, blocks included, and changes nothing but to make a
 * new directory. directory_begin_run() then brings it into the form that a run starts from: every
 * block is materialised, progress of earlier runs is one table per partition, the new run is
 * recorded. Between the two a tool can read.
 *
 * Meta keys (all values end in a CRC-32C):
 *   m/directory              format version, vshards, hash seed, id, scope, whether vshards in
 *                            which keys wait are marked (formats 2 and 3 say that by themselves)
 *   m/pipeline               name of the pipeline that the state is of
 *   m/outline                its keys and handlers in the last run (pipeline/outline.h)
 *   m/through                highest block number that is materialised
 *   m/run/<run: 8>           worker count, vshard -> worker map
 *   m/store/<name>           number of the store, whether it is ordered, whether it ever had a TTL
 *   m/partition/<identity>   number of the partition
 *   m/fingerprint/<partition: 4>
 *   m/low/<partition: 4>     low position, highest block number known synced when it was written
 *   m/cache                  look-ups that the caches answered and did not, in the last run that
 *                            ended in good order; for people
 *
 * @thread control, except where a function says otherwise */
#ifndef STATE_DIRECTORY_H
#define STATE_DIRECTORY_H

#include <strid/source.h>

#include "base/log.h"
#include "state/batch.h"
#include "state/fold.h"
#include "state/key.h"
#include "state/store.h"

/* A run writes the newest format into a directory of an older one, so that no version that would
 * not understand what the run leaves opens it again.
 *   3  vshards in which keys wait are marked
 *   4  positions of what waits, of a source without order (runtime/worker_applied_waiting.h): who
 *      does not know them handles copies of such records again */
enum {
    DIRECTORY_FORMAT = 4,
    DIRECTORY_FORMAT_OLDEST = 2, /* that is read */
    DIRECTORY_ID_BYTES = 16,
    DIRECTORY_STORES_MAX = KEY_STORE_ENGINE - 1
};

/* How state is addressed; a directory keeps the scope that it was made with. The partition comes
 * first in the keys of a scope per partition, which this version neither writes nor reads. */
enum directory_scope { DIRECTORY_SCOPE_GLOBAL = 0 };

/* Highest applied position of each vshard; `known` bit v: there is one. */
struct directory_table {
    uint8_t known[KEY_VSHARDS / 8];
    strid_position applied[KEY_VSHARDS];
};

struct directory_partition {
    char *identity;
    uint32_t number;
    bool stored; /* its m/partition key is in the store */
    bool has_low;
    strid_position low;
    struct directory_table *table; /* NULL: nothing applied yet */
    uint8_t fingerprint[STRID_FINGERPRINT_MAX];
    size_t fingerprint_len;
};

struct directory_run {
    uint64_t run;
    uint32_t workers;
    uint8_t worker_of[KEY_VSHARDS];
};

struct directory {
    const struct store_ops *ops;
    struct store *store;
    const struct log *log;
    char *url;
    char *pipeline; /* whose state it is; NULL: not yet said, directory_begin_run() stores it */
    bool pipeline_stored;
    char *outline; /* of the pipeline; NULL: not known. Whoever sets another resets _stored */
    bool outline_stored;
    uint8_t id[DIRECTORY_ID_BYTES];
    uint32_t format; /* that it has in the store */
    bool has_marks;  /* of vshards in which keys wait; one that was made without never gets them */
    uint64_t seed;
    uint64_t through;     /* blocks up to here are materialised */
    uint64_t last_number; /* highest block number used */
    uint64_t synced;      /* highest number known to have been synced */
    uint64_t dropped;     /* blocks above `synced` that were damaged, and those behind them */
    uint64_t redo_blocks, redo_bytes;
    uint64_t cache_hits, cache_misses; /* of the last run that ended in good order; 0, 0: none */
    char *stores[DIRECTORY_STORES_MAX + 1]; /* index: the store's number; NULL: not used */
    bool store_stored[DIRECTORY_STORES_MAX + 1];
    bool store_ordered[DIRECTORY_STORES_MAX + 1];
    bool store_expires[DIRECTORY_STORES_MAX + 1]; /* it has, or had, a time to live */
    struct directory_partition **partitions;
    uint32_t partition_count;
    struct directory_run *runs;
    uint32_t run_count;
    struct directory_run run; /* the one that was begun */
    int64_t now_ms;           /* when it was opened */
    struct fold *fold;        /* blocks that are not materialised; NULL after begin_run */
    bool empty_state;         /* after begin_run: no state at all is in the store */
};

struct directory_options {
    bool create;
    bool read_only;
    uint64_t write_buffer;
    uint64_t block_cache;
    int64_t now_ms;                     /* begin_run drops what has expired by then; 0: nothing */
    uint64_t new_seed;                  /* hash seed of a directory that is made now */
    uint8_t new_id[DIRECTORY_ID_BYTES]; /* its id */
    const struct log *log;
    struct store **kept; /* state/store.h: of a store in memory; may be NULL */
};

/* `ops` NULL: found by the URL's scheme. Failures: the store's, and STRID_ECORRUPT, STRID_EVERSION.
 */
strid_status directory_open(const char *url, const struct store_ops *ops,
                            const struct directory_options *options, struct directory **out,
                            strid_error *err);
void directory_close(struct directory *directory);

/* The partition of that identity; made if unknown, stored by begin_run. */
struct directory_partition *directory_partition(struct directory *directory, const char *identity);
/* The store's number, 1..DIRECTORY_STORES_MAX; made if unknown, stored by begin_run. STRID_ELIMIT:
 * too many. */
strid_status directory_store(struct directory *directory, const char *name, uint8_t *number,
                             strid_error *err);
/* Whether the store's keys have subkeys; stored by begin_run. STRID_ESTATE: it was made otherwise,
 * and there is state. */
strid_status directory_set_ordered(struct directory *directory, uint8_t store, bool ordered,
                                   strid_error *err);
/* The store has a time to live from now on; stored by begin_run, and never forgotten. */
void directory_set_expires(struct directory *directory, uint8_t store);
uint8_t directory_find_store(const struct directory *directory, const char *name); /* 0: unknown */

/* Progress that lies in blocks becomes part of the tables, in memory alone: each number counts for
 * the vshards its worker owned. begin_run does it, too. */
strid_status directory_raise_tables(struct directory *directory, strid_error *err);

/* See above. After an error the directory can only be closed. */
strid_status directory_begin_run(struct directory *directory, uint32_t workers,
                                 const uint8_t worker_of[KEY_VSHARDS], strid_error *err);

/* Adds the write of a low position. @thread storage */
void directory_put_low(struct batch *batch, uint32_t partition, strid_position low,
                       uint64_t synced);
/* Adds the write of a run's look-ups in its caches. @thread control, agents have ended */
void directory_put_cache(struct batch *batch, uint64_t hits, uint64_t misses);
/* Adds the write that follows an ingest: `through` moves, progress of the run moves from blocks
 * into the store, the blocks from `first` on are deleted. @thread materialiser */
void directory_put_materialised(struct batch *batch, const struct fold *fold, uint64_t first,
                                uint64_t through);

void directory_format_id(const struct directory *directory, char out[DIRECTORY_ID_BYTES * 2 + 1]);

#endif
