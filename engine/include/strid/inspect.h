/* Reading what a stopped node left: state (blocks included) and dead letters. For tools. */
#ifndef STRID_INSPECT_H
#define STRID_INSPECT_H

#include <strid/error.h>
#include <strid/pipeline.h>
#include <strid/sink.h>
#include <strid/state.h>

STRID_BEGIN_DECLS

typedef struct strid_state_reader strid_state_reader;

/**
 * @brief Opens the state of a stopped node; nothing is changed.
 * @param url "rocksdb:DIR".
 * @return NULL on failure: STRID_ENOTFOUND no state there; STRID_EBUSY a running node holds it (the
 * message says which process); STRID_ECORRUPT, STRID_EVERSION. Ownership: the caller. Thread
 * safety: one thread.
 */
STRID_API strid_state_reader *strid_state_reader_open(const char *url, strid_error *err);

/** @brief Closes it; NULL is allowed. */
STRID_API void strid_state_reader_close(strid_state_reader *reader);

typedef struct strid_state_entry {
    const char *store;
    strid_bytes key;
    strid_state_kind kind;
    strid_bytes value;  /* bytes, or the 8 bytes of an integer or double in host order */
    int64_t expires_ms; /* when its time to live ends, milliseconds since 1970; 0: never */
    strid_bytes subkey; /* absent: the key's plain value */
} strid_state_entry;

/**
 * @brief Reads one entry. @param[out] entry lives until the next call. @retval STRID_ENOTFOUND no
 * such store or key, or its time to live is over.
 */
STRID_API STRID_NODISCARD strid_status strid_state_reader_get(strid_state_reader *reader,
                                                              const char *store, strid_bytes key,
                                                              strid_state_entry *entry,
                                                              strid_error *err);

/**
 * @brief The same for a subkey. @retval STRID_EUNSUPPORTED the store is not ordered.
 */
STRID_API STRID_NODISCARD strid_status
strid_state_reader_get_sub(strid_state_reader *reader, const char *store, strid_bytes key,
                           strid_bytes subkey, strid_state_entry *entry, strid_error *err);

/* Returns false to end the scan. `entry` lives until the call returns. */
typedef bool (*strid_state_entry_fn)(void *user, const strid_state_entry *entry);

/**
 * @brief Calls `fn` for each entry of `store` (NULL: of all stores that handlers have), each key
 * and subkey once, in no meaningful order; entries whose time to live is over are passed over.
 * "engine:112" to "engine:127" are the stores that the engine keeps for itself.
 * @retval STRID_ENOTFOUND no such store.
 */
STRID_API STRID_NODISCARD strid_status strid_state_reader_scan(strid_state_reader *reader,
                                                               const char *store,
                                                               strid_state_entry_fn fn, void *user,
                                                               strid_error *err);

typedef struct strid_state_store_stats {
    const char *name;
    uint64_t keys;
    uint64_t key_bytes;
    uint64_t value_bytes;
    uint64_t expiring; /* keys that have a time to live */
} strid_state_store_stats;

typedef struct strid_state_partition_stats {
    const char *identity;
    strid_position low; /* where the node goes on */
} strid_state_partition_stats;

typedef struct strid_state_stats {
    const strid_state_store_stats *stores;
    uint32_t store_count;
    const strid_state_partition_stats *partitions;
    uint32_t partition_count;
    uint64_t keys;
    uint64_t redo_blocks; /* blocks not yet materialised */
    uint64_t redo_bytes;
    uint64_t last_block; /* highest block number */
    uint64_t disk_bytes;
    uint64_t level_files[7];
    uint64_t level_bytes[7];
    char directory_id[40];
    uint32_t format_version;
    uint32_t vshards;
    uint64_t cache_hits; /* look-ups of the last run that ended in good order; both 0: unknown */
    uint64_t cache_misses;
    uint64_t outbox_entries; /* dead letters that the next run sends */
    uint64_t outbox_bytes;
    uint64_t waiting;      /* records that wait for another attempt */
    uint64_t parked;       /* records that are parked behind them */
    uint64_t parked_bytes; /* of both */
} strid_state_stats;

/** @brief Counts everything, by a whole scan. @param[out] stats lives until the reader is closed.
 */
STRID_API STRID_NODISCARD strid_status strid_state_reader_stats(strid_state_reader *reader,
                                                                strid_state_stats *stats,
                                                                strid_error *err);

/* One dead letter; returns false to end the listing. `letter` lives until the call returns. */
typedef bool (*strid_dead_letter_fn)(void *user, const strid_output *letter);

/**
 * @brief Lists the dead letters of a pipeline in the order of its queue, repeats (same id) dropped.
 * The node may be running. Letters of other pipelines in the same queue are passed over, here and
 * below, and their number is logged; those that name no pipeline are not.
 * @retval STRID_EUNSUPPORTED its dead-letter queue cannot be listed.
 */
STRID_API STRID_NODISCARD strid_status strid_dlq_list(strid_pipeline *pipeline,
                                                      strid_dead_letter_fn fn, void *user,
                                                      strid_error *err);

/* What became of the letters that strid_dlq_replay() was to hand back. */
typedef struct strid_dlq_replayed {
    uint64_t replayed;
    uint64_t unreadable; /* left: still not read by the pipeline's format, or a piece of a line */
    uint64_t orphaned;   /* left: the source no longer has what they were read from */
    uint64_t left;       /* for another call, which is needed where they are very many */
} strid_dlq_replayed;

#define STRID_REPLAY_AGAIN 1u /* also letters that were handed back before */
#define STRID_REPLAY_DRY 2u   /* nothing is handed back: it is asked and counted what would be */

/**
 * @brief Hands dead letters back to the node, which must not be running: those for which `fn`
 * returns true, of those that were not handed back before (STRID_REPLAY_AGAIN: of all). Letters
 * that stay where they are, whatever `fn` says, are told to it as such (`stays`) and counted if it
 * returns true. The next run handles the original bytes as if they had never been tried, and the
 * letters are marked, in one atomic write each; neither the source nor the queue is written to.
 * Streams of Redis: each letter goes back to its stream and out of the queue in one step at the
 * server, STRID_REPLAY_AGAIN is of no use, and nodes may run. Topics of Kafka: it goes back behind
 * the other records of its partition, in one transaction with its mark in the queue, and nodes may
 * run.
 * @param[out] result also after an error: what was handed back until then.
 * @retval STRID_EBUSY the node is running. @retval STRID_ENOTFOUND it has no state.
 * @retval STRID_EUNSUPPORTED not for this source yet, or no state on disk, or no queue to be read.
 */
STRID_API STRID_NODISCARD strid_status strid_dlq_replay(strid_pipeline *pipeline, uint32_t flags,
                                                        strid_dead_letter_fn fn, void *user,
                                                        strid_dlq_replayed *result,
                                                        strid_error *err);

/* What strid_dlq_purge() had to leave. */
typedef struct strid_dlq_purged {
    /* Topics of Kafka: messages of letters that were purged, now or before, and that stand behind
     * one that stays. Nobody sees them as letters; the topic's retention takes them. */
    uint64_t kept;
    uint64_t kept_bytes; /* of their keys, values and headers */
} strid_dlq_purged;

/**
 * @brief Takes dead letters out of the queue for good: those for which `fn` returns true. A crash
 * leaves each file of the queue as it was or without them. While the node does not run, the notes
 * of which of them were handed back go, too. A topic of Kafka loses its beginning, up to the first
 * record that stays; what goes behind that is marked, and not listed or handed back any more; a
 * crash leaves each letter as it was or purged.
 * @param[out] result where it succeeds; may be NULL.
 * @retval STRID_EBUSY the node is running. @retval STRID_EUNSUPPORTED its dead-letter queue cannot
 * be purged.
 */
STRID_API STRID_NODISCARD strid_status strid_dlq_purge(strid_pipeline *pipeline,
                                                       strid_dead_letter_fn fn, void *user,
                                                       strid_dlq_purged *result, strid_error *err);

STRID_END_DECLS

#endif
