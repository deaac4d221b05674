/* One stream as a consumer of a group reads it: on one connection, on which reads and
 * acknowledgements are pipelined. After each connect the entries that were delivered to this
 * consumer before and never acknowledged come first, then new ones. What comes twice by that, the
 * engine knows.
 *
 *   closed ──connect──> group made or found ──> own pending entries, page by page ──> new ones
 *      ^                                                                                 │
 *      └── any failure of the connection, or the group is gone ──────────────────────────┘
 *
 * Entries of other consumers that were idle for too long are claimed on a timer, and those of this
 * one that wait in the engine are kept from getting so old.
 * @thread the reader, but for init, assign and fini @thread control, and ack, acked @thread
 * committer */
#ifndef REDIS_STREAM_H
#define REDIS_STREAM_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"

#include "redis_connection.h"
#include "redis_entries.h"
#include "redis_record.h"

enum { REDIS_STREAM_NAME_MAX = STRID_FINGERPRINT_MAX, REDIS_STREAM_EXPECTED = 64 };

enum redis_expected_kind {
    REDIS_EXPECTED_HISTORY,
    REDIS_EXPECTED_NEW,
    REDIS_EXPECTED_ACK,        /* of what the engine told */
    REDIS_EXPECTED_ACK_GONE,   /* of what is gone */
    REDIS_EXPECTED_CANDIDATES, /* for a claim */
    REDIS_EXPECTED_CLAIM,
    REDIS_EXPECTED_COUNTS, /* how often own entries were delivered */
    REDIS_EXPECTED_RESTORE,
    REDIS_EXPECTED_PENDING, /* own ones that are idle */
    REDIS_EXPECTED_REFRESH,
    REDIS_EXPECTED_MISSING, /* whether an entry is in the stream */
    REDIS_EXPECTED_LOOK,    /* for the mark */
    REDIS_EXPECTED_MARK,
    REDIS_EXPECTED_TRIM
};

/* A command that was sent and has no answer yet. */
struct redis_expected {
    enum redis_expected_kind kind;
    uint32_t count; /* of acknowledgements; of entries that a read asks for */
};

/* What a stream may have of the memory. */
struct redis_stream_share {
    uint64_t reply_bytes;    /* of entries that one read should bring, as far as can be guessed */
    uint64_t unacknowledged; /* entries: of each the engine and the stream keep the ID till then */
};

struct redis_stream_counts {
    uint64_t claimed, gone, redelivered, remade;
};

struct redis_stream {
    const struct redis_source_options *options;
    const struct log *log;
    const char *name;
    struct redis_stream_share share;
    char consumer[REDIS_STREAM_NAME_MAX + 1];
    struct redis_connection connection;
    struct redis_entries entries;
    struct redis_record record;
    struct redis_expected expected[REDIS_STREAM_EXPECTED]; /* a ring */
    uint32_t expected_head, expected_count, reads, acks_sent;
    bool is_history;                 /* the own pending entries are being read */
    bool has_more;                   /* the last read was as large as it could be */
    bool is_told;                    /* that the server cannot be reached */
    strid_status told_as;            /* of what kind that was */
    bool is_ending;                  /* nothing is read any more */
    bool is_idle;                    /* the last poll found nothing */
    bool has_group;                  /* it was made or found before, by this process */
    bool has_mark;                   /* it was in the group before, as far as is known */
    bool is_mark_told;               /* that it is missing */
    bool is_renamed;                 /* the mark of the last run has another name */
    bool is_look_due;                /* a last one at the group, at the end */
    strid_position history_from;     /* the next page begins behind it */
    strid_position highest;          /* that was ever delivered here as new */
    strid_position furthest;         /* no entry behind it was ever delivered here in any way */
    enum redis_expected_kind staged; /* where the entries come from that wait to be added */
    struct {
        int64_t claim_ns, refresh_ns, mark_ns;
        strid_position claim_from, refresh_from;
        bool claiming, refreshing, marking;
    } timers;
    struct {
        int64_t due_ns;
        uint64_t taken; /* entries */
        bool is_under_way;
        bool is_told; /* that a group is missing */
    } trim;
    struct {
        strid_position next; /* the next page of candidates begins there, unless it ends earlier */
        strid_position alone;
        int64_t alone_ns; /* when it was asked for */
        bool is_asked;    /* XAUTOCLAIM has no answer yet */
        bool
            is_alone; /* `alone` was claimed and has to be acknowledged before others are claimed */
    } claim;
    struct {
        struct buffer condemned; /* strid_position: delivered too often to be handled */
        bool is_claim_unknown;   /* what was claimed before may not have been counted */
    } delivery;
    struct {
        struct buffer refreshed; /* strid_position: refreshes under way, what was not read here */
        struct buffer lacking;   /* of those, not pending any more: [answered, sent, ...) */
        size_t answered_at, sent_at;
    } missing;
    struct buffer acks; /* strid_position: told by the engine, [answered, sent, ...) */
    size_t acks_answered_at, acks_sent_at;
    uint64_t answered; /* since assign */
    struct {
        uint64_t moves; /* of the connection, when it was last seen to move */
        int64_t since_ns;
    } quiet;
    struct {
        uint64_t moves; /* entries handed over and acknowledgements answered, when last looked at */
        int64_t since_ns;
    } rest;
    struct {
        int64_t since_ns; /* too much is not acknowledged; 0: it is not */
        bool is_told;
    } full;
    uint64_t in_hand; /* delivered since assign */
    /* What the engine has besides, of earlier runs; and what of both it will not acknowledge.
     * @thread any, relaxed: they are for a bound */
    _Atomic uint64_t recalled, released;
    uint64_t entry_bytes; /* about, of those that the last read brought; 0: none has yet */
    struct redis_stream_counts counts;
    struct {
        pthread_mutex_t lock; /* guards `positions`: the committer adds, the reader takes all */
        struct buffer positions;
        _Atomic uint64_t count; /* relaxed: whether it is worth the lock */
    } told;
    _Atomic uint64_t acked; /* release after the reader's last poll returned */
};

void redis_stream_init(struct redis_stream *stream, const struct redis_address *address,
                       const char *name, const struct redis_source_options *options,
                       const struct redis_stream_share *share, const char *pipeline,
                       const struct log *log);
void redis_stream_fini(struct redis_stream *stream);
/* Connects and makes the group, with the attempts that are configured. */
strid_status redis_stream_assign(struct redis_stream *stream, const char *consumer,
                                 const strid_resume *resume, strid_error *err);
strid_status redis_stream_poll(struct redis_stream *stream, strid_intake *intake,
                               uint32_t records_max, strid_error *err);
strid_status redis_stream_pump(struct redis_stream *stream, bool ending, strid_error *err);
void redis_stream_ack(struct redis_stream *stream, const strid_position *positions, uint32_t count);
uint64_t redis_stream_acked(struct redis_stream *stream);
/* Both @thread any */
void redis_stream_release(struct redis_stream *stream, uint32_t count);
void redis_stream_recall(struct redis_stream *stream, uint32_t count);

/* For the parts of a stream: a command is about to be put into connection.out. */
void redis_stream_expect(struct redis_stream *stream, enum redis_expected_kind kind,
                         uint32_t count);
/* "VERB key group" of a command of `words` words. */
void redis_stream_command(struct redis_stream *stream, uint32_t words, const char *verb);
void redis_stream_put_id(struct redis_stream *stream, strid_position id);
/* An entry of that ID was delivered here, or may have been. */
static inline void redis_stream_see(struct redis_stream *stream, strid_position id)
{
    if (strid_position_compare(id, stream->furthest) > 0)
        stream->furthest = id;
}
bool redis_stream_has_room(const struct redis_stream *stream); /* for another command */
/* Not too much was given to the engine that is not acknowledged. */
bool redis_stream_has_credit(const struct redis_stream *stream);
/* What the engine has, of earlier runs too, that is neither acknowledged nor another consumer's. */
uint64_t redis_stream_unacknowledged(const struct redis_stream *stream);

#endif
