/* Known defects that a test build can switch on, one at a time, to show that the simulator notices
 * them: `if (MUTANT(MUTANT_NO_DEDUP)) ...`. In other builds the macro is false.
 * docs/internals/simulator.md lists what catches each. @thread any; set before agents run */
#ifndef BASE_MUTANT_H
#define BASE_MUTANT_H

#include <stdbool.h>

/* Name, what is wrong. */
#define MUTANT_MAP(X)                                                                              \
    X(MUTANT_ACK_BEFORE_SYNC, "acknowledged before the sync")                                      \
    X(MUTANT_NO_SYNC, "told as synced without a sync")                                             \
    X(MUTANT_NOTED_EARLY, "noted as synced before the sync")                                       \
    X(MUTANT_RECOVER_WITHOUT_SYNC, "recovered blocks ingested before a sync")                      \
    X(MUTANT_INGEST_UNSYNCED, "blocks ingested before a sync")                                     \
    X(MUTANT_FINISH_EARLY, "finished before the last low position is synced")                      \
    X(MUTANT_STALE_PROGRESS, "progress of the run before counted for the next one")                \
    X(MUTANT_BLOCK_ORDER, "an older block wins over a newer one")                                  \
    X(MUTANT_RUN_MAP, "progress counted by the vshard map of another run")                         \
    X(MUTANT_DELETE_BEFORE_INGEST, "blocks deleted before their keys are in the store")            \
    X(MUTANT_EVICT_UNMATERIALISED, "a dirty bit instead of the block's number")                    \
    X(MUTANT_EVICT_DIRTY, "a dirty entry evicted")                                                 \
    X(MUTANT_EVICTED_IS_ABSENT, "an evicted entry taken for one that never was")                   \
    X(MUTANT_NO_DEDUP, "replayed records handled again")                                           \
    X(MUTANT_LOW_CONTIGUOUS, "the low position does not wait for whole rounds")                    \
    X(MUTANT_LOW_BY_DELIVERY, "the low position moves when a chunk returns")                       \
    X(MUTANT_KEPT_WRITES, "the write set kept on retry")                                           \
    X(MUTANT_KEPT_OUTPUTS, "outputs kept on retry")                                                \
    X(MUTANT_OUTPUT_UNCOVERED, "a block written before its outputs are delivered")                 \
    X(MUTANT_CHUNK_EARLY, "a chunk given back while a worker has it")                              \
    X(MUTANT_NUMBER_REUSED, "block numbers start anew with each run")                              \
    X(MUTANT_PROGRESS_LOST, "progress left out when blocks are materialised")                      \
    X(MUTANT_SCAN_STORE_ONLY, "a scan that leaves out what is not yet materialised")               \
    X(MUTANT_EXPIRED_READ, "an entry that outlived its time to live is read")                      \
    X(MUTANT_SWEEP_NEWER, "the sweep of the store deletes newer entries")                          \
    X(MUTANT_OLD_EPOCH, "a chunk of an older epoch handled")                                       \
    X(MUTANT_DROPPED_COUNTS, "a dropped chunk counts as handled")                                  \
    X(MUTANT_NEVER_DUE, "a block is sealed only when it is full")                                  \
    X(MUTANT_BACKWARDS, "a record that the source offers again is taken")                          \
    X(MUTANT_TIMEOUT_IGNORED, "what a handler did that took too long counts")                      \
    X(MUTANT_OUTBOX_UNSYNCED, "a dead letter sent before a sync covers it")                        \
    X(MUTANT_OUTBOX_FORGOTTEN, "dead letters that a run left are not sent by the next one")        \
    X(MUTANT_OUTBOX_DELETED_EARLY, "a dead letter deleted before it is delivered")                 \
    X(MUTANT_OUTBOX_IGNORED_AT_END, "finished while dead letters wait in the outbox")              \
    X(MUTANT_NOT_ALONE, "a suspect does not wait for the others to stand still")                   \
    X(MUTANT_CRASH_COUNTED, "crashes count of records that did not run alone")                     \
    X(MUTANT_VSHARD_UNMARKED, "a vshard in which keys wait is not marked")                         \
    X(MUTANT_WAITING_UNWRITTEN, "a block sealed without the records that wait since it began")     \
    X(MUTANT_OVERTAKEN, "a record that waits is overtaken by those of its key")                    \
    X(MUTANT_OPEN_PASSED, "deferred write sets merged out of order")                               \
    X(MUTANT_OPEN_UNWRITTEN, "an open record that no block holds")                                 \
    X(MUTANT_OPEN_LEFT, "finished while outcomes are to come")                                     \
    X(MUTANT_TOKEN_KEPT, "a token holds for more than one outcome")                                \
    X(MUTANT_LATE_COUNTS, "what a handler deferred counts though nobody spoke in time")            \
    X(MUTANT_HANDED_KEPT, "what the host took over is tried again, too")                           \
    X(MUTANT_BOUND_IGNORED, "a partition is read though too much of it waits")                     \
    X(MUTANT_PARTITION_PASSED, "others of its partition pass a record that waits")                 \
    X(MUTANT_TIME_STANDS, "what takes effect between two chunks ages from the one before")         \
    X(MUTANT_FORGOTTEN_EARLY, "an applied position forgotten before its chunks returned")          \
    X(MUTANT_ACK_WAITING, "acknowledged while it waits, or its dead letter does")                  \
    X(MUTANT_WAITING_UNKNOWN, "positions of what waits unknown to the next run")                   \
    X(MUTANT_POSITION_LEFT, "the position of what waited left in the store")                       \
    X(MUTANT_LETTER_EARLY, "acknowledged before the queue has its dead letter")                    \
    X(MUTANT_COPY_OWED, "delivery of a copy of what waits not released")                           \
    X(MUTANT_DECLINED_KEPT, "the position of a letter that was declined kept in the set")          \
    X(MUTANT_DECLINED_ACKED, "acknowledged though the queue declined its letter")                  \
    X(MUTANT_DECLINED_OWED, "delivery of a letter that was declined not released")                 \
    X(MUTANT_APPLIED_LEFT, "finished while what was acknowledged is known as applied")             \
    X(MUTANT_SHARED_WAITS, "told to a shared source while something before it waits")              \
    X(MUTANT_SHARED_EARLY, "told to a shared source before what was settled is synced")            \
    X(MUTANT_SUSPECT_FORGOTTEN, "a suspect that waits forgotten at the end of a run")              \
    X(MUTANT_SUSPECT_DRAINED, "a suspect forgotten by a drain before it came again")

enum mutant {
    MUTANT_NONE = 0,
#define MUTANT_ENUM(name, text) name,
    MUTANT_MAP(MUTANT_ENUM)
#undef MUTANT_ENUM
        MUTANT_COUNT
};

#if defined(STRID_TESTING)
extern int mutant_active;
#define MUTANT(mutant) (__builtin_expect(mutant_active == (mutant), 0))
#else
#define MUTANT(mutant) false
#endif

#endif
