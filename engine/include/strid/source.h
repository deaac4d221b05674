/* The source contract: what a connector implements to be read from.
 *
 *   open -> for each partition: describe, assign (or assign_all) -> poll ... poll -> close
 *
 * assign may come again for a partition (after a store error); it then starts over at the given
 * place. */
#ifndef STRID_SOURCE_H
#define STRID_SOURCE_H

#include <strid/config.h>
#include <strid/error.h>
#include <strid/record.h>

#define STRID_SOURCE_ABI_VERSION 1u

#define STRID_SOURCE_REPLAYABLE 1u /* can start again at any position it once delivered */
#define STRID_SOURCE_BOUNDED 2u    /* poll returns STRID_EOF at some time */
/* Nobody else reads it: dead letters are handed back through the node's own state. */
#define STRID_SOURCE_PRIVATE 16u
#define STRID_SOURCE_PADDED 4u /* 64 bytes behind every value may be read (not written) */
/* Positions come in any order, and again until they are acknowledged one by one (competing
 * consumers). What was acknowledged never comes again; ack_many, acked and pump are given. */
#define STRID_SOURCE_UNORDERED 8u
#define STRID_SOURCE_BUFFERED 32u /* reads ahead into queues of its own, of args->memory_bytes */
/* Knows no numbers: built-in handlers take texts that are numbers as such. */
#define STRID_SOURCE_TEXTS 64u

#define STRID_FINGERPRINT_MAX 64

typedef struct strid_source
    strid_source; /* the connector's own struct of ops->instance_size bytes, zeroed at first */
typedef struct strid_intake strid_intake; /* where a poll puts records; belongs to the reader */

/* A record as it was read, before it is decoded. All memory may be reused when strid_intake_add()
 * returned. */
typedef struct strid_raw {
    strid_bytes key; /* absent: the pipeline's `key:` may name a field of the value */
    strid_bytes value;
    strid_position position;
    strid_position next;  /* where reading goes on behind this record */
    int64_t timestamp_ms; /* or STRID_TIMESTAMP_NONE */
    const strid_header *headers;
    uint32_t header_count;
    const char *fault; /* not NULL: unreadable, a reason such as "line_too_long"; dead-lettered with
                          its bytes */
} strid_raw;

typedef struct strid_partition_info {
    const char *topic; /* lives as long as the source */
    const char
        *identity; /* canonical name that stays the same over runs, for example an absolute path */
    uint64_t bytes_total; /* size of what is to be read, from its beginning; UINT64_MAX: unknown */
    bool has_number;      /* it has a number within its topic, which records say they are of */
    uint32_t number;      /* else they give the number within the source */
} strid_partition_info;

/* Where to go on. */
typedef struct strid_resume {
    bool resumed;            /* false: the partition was never read; start at its beginning */
    strid_position position; /* the first position that is to be delivered; UNORDERED: what is to
                                be delivered the source knows, and this lies behind all that this
                                node has handled */
    strid_bytes fingerprint; /* what fingerprint() gave in an earlier run; may be empty */
    bool fresh;              /* no partition of this state was ever read: it is new, or was lost */
} strid_resume;

STRID_BEGIN_DECLS

/**
 * @brief Hands one record to the engine, which copies it.
 * @retval STRID_OK    taken.
 * @retval STRID_AGAIN not taken, no room: return STRID_AGAIN from poll and offer the same record at
 * the next. Thread safety: only from within poll.
 */
STRID_API STRID_NODISCARD strid_status strid_intake_add(strid_intake *intake, const strid_raw *raw);

/**
 * @brief Says that what lies before `next` holds no further record (blank lines, gaps), so that
 * progress can pass it. Thread safety: only from within poll.
 */
STRID_API void strid_intake_skip(strid_intake *intake, strid_position next);

STRID_END_DECLS

/* Where reading for tools begins; partition by partition. */
typedef enum strid_read_start {
    STRID_READ_BEGINNING = 0,
    STRID_READ_END,
    STRID_READ_STORED,   /* where the URL's group stands */
    STRID_READ_POSITION, /* `position`, itself included */
    STRID_READ_LAST,     /* the last `count` records */
    STRID_READ_TIME      /* the first of `start_ms` or later */
} strid_read_start;

#define STRID_READ_WITHOUT_END INT64_MAX

typedef struct strid_read_range {
    strid_read_start start;
    strid_position position;
    uint64_t count;
    int64_t start_ms;
    int64_t end_ms; /* a partition ends before the first record of that time or later */
    bool follow;    /* on and on; else to where each partition ends while it is read */
} strid_read_range;

typedef struct strid_read_record {
    const strid_record *record;
    const char *timestamp_type; /* "create", "logappend"; NULL: unknown */
    const char *fault;          /* not NULL: a pipeline would dead-letter it with this reason */
    int32_t broker;             /* id of the broker it came from; negative: there is none */
    bool is_pair;               /* positions are HIGH-LOW */
} strid_read_record;

/* `record` lives until it returns; NULL: nothing is there right now, called ten times a second or
 * so. Returns false to end the reading. */
typedef bool (*strid_read_fn)(void *user, const strid_read_record *record);

#define STRID_UNKNOWN UINT64_MAX /* of a number that the broker does not tell, or tells wrong */

/* A topic, or a stream. */
typedef struct strid_topic_info {
    const char *topic;
    uint32_t partitions;
    uint64_t records;        /* Kafka: offsets between beginning and end, gaps included */
    uint64_t groups;         /* or STRID_UNKNOWN */
    uint64_t without_leader; /* partitions that cannot be read now; STRID_UNKNOWN */
} strid_topic_info;

/* How far a group is in a partition, and one member that has to do with it. Texts that are NULL are
 * not known or not there. */
typedef struct strid_group_info {
    const char *group;
    const char *topic;
    uint32_t partition;
    bool has_current, has_end;
    bool is_pair;           /* positions are HIGH-LOW */
    bool is_member;         /* Redis: only about the consumer; the group had a row of its own */
    strid_position current; /* Kafka: the next to be read; Redis: delivered last */
    strid_position end;     /* Kafka: behind the last record; Redis: the last entry's id */
    uint64_t lag;           /* records that were not delivered yet, or STRID_UNKNOWN */
    uint64_t pending;       /* delivered and not acknowledged */
    uint64_t length;        /* entries of the stream */
    uint64_t dead_letters;  /* entries of its dead-letter stream */
    uint64_t idle_ms;       /* since the consumer was heard of */
    const char *state;      /* of the group: "Stable", "Empty" */
    const char *consumer, *host, *client;
} strid_group_info;

/* Both: what is given lives until it returns. Returns false to end the listing. */
typedef bool (*strid_topic_fn)(void *user, const strid_topic_info *topic);
typedef bool (*strid_group_fn)(void *user, const strid_group_info *group);

/* Looking at what is there, for tools: needs no open source, joins no group, acknowledges nothing.
 * Any thread. May block: yes. */
typedef struct strid_inspect_ops {
    strid_status (*read)(const strid_connector_args *args, const strid_read_range *range,
                         strid_read_fn fn, void *user, strid_error *err);
    /** Of all topics or streams where the URL names none. */
    strid_status (*topics)(const strid_connector_args *args, strid_topic_fn fn, void *user,
                           strid_error *err);
    /** Of the URL's topics; of its group, or of all groups where it names none. */
    strid_status (*groups)(const strid_connector_args *args, strid_group_fn fn, void *user,
                           strid_error *err);
} strid_inspect_ops;

/* Where a group, or the node that reads for it, is to go on. */
typedef enum strid_place_kind {
    STRID_PLACE_EARLIEST = 0, /* with the first record that is there */
    STRID_PLACE_LATEST,       /* behind the last one */
    STRID_PLACE_POSITION,     /* with the record at `position` */
    STRID_PLACE_TIME,         /* with the first one of `time_ms` or later */
    STRID_PLACE_SHIFT         /* so many records behind (or, negative, before) where it stands */
} strid_place_kind;

typedef struct strid_place {
    strid_place_kind kind;
    strid_position position;
    int64_t time_ms; /* since 1970 */
    int64_t shift;
} strid_place;

/* One partition on its way to another place. All positions are those that are read next. */
typedef struct strid_relocation {
    uint32_t partition;      /* within the source */
    bool is_held;            /* in: the state of the node that reads is locked: it does not run */
    bool has_node;           /* in: and says where it would go on */
    strid_position node;     /* in */
    strid_bytes fingerprint; /* in: what fingerprint() gave in its last run; may be empty */
    const char *group;       /* out: lives as long as the source; NULL: there is none */
    bool is_pair;            /* out: positions are HIGH-LOW */
    bool has_current;        /* out */
    strid_position current;  /* out: where the group stands */
    strid_position wanted;   /* out: the place */
} strid_relocation;

/** What becomes of a dead letter that a tool looks at. */
typedef enum strid_letter_fate {
    STRID_LETTER_STAYS = 0,
    STRID_LETTER_RETURNS, /* to where its record was read from, and is no letter any more */
    STRID_LETTER_GOES     /* without returning: a repeat; stays where its id is marked */
} strid_letter_fate;

struct strid_output;       /* strid/sink.h */
struct strid_dlq_replayed; /* strid/inspect.h */

typedef strid_letter_fate (*strid_letter_fate_fn)(void *user, const struct strid_output *letter);

typedef struct strid_source_ops {
    uint32_t abi_version; /* STRID_SOURCE_ABI_VERSION */
    uint32_t flags;       /* STRID_SOURCE_* */
    const char *name;     /* the URL's scheme */
    const char *summary;  /* one line for the documentation */
    const strid_option *options;
    size_t options_size;
    size_t instance_size;

    /** Thread: control. May block: yes. On error: nothing is left open, close is not called. */
    strid_status (*open)(strid_source *self, const strid_connector_args *args, strid_error *err);

    /** Thread: control. May block: no. How many partitions there are; fixed after open. */
    uint32_t (*partition_count)(strid_source *self);

    /** Thread: control. May block: no. */
    void (*describe)(strid_source *self, uint32_t partition, strid_partition_info *info);

    /** Thread: control, never while poll of that partition runs. May block: yes. On error: the
     * partition cannot be polled; STRID_EGAP where the source is no longer what the fingerprint was
     * taken of. */
    strid_status (*assign)(strid_source *self, uint32_t partition, const strid_resume *resume,
                           strid_error *err);

    /** Thread: control, after assign. May block: no. Writes at most STRID_FINGERPRINT_MAX bytes,
     * returns how many. */
    size_t (*fingerprint)(strid_source *self, uint32_t partition, uint8_t *out);

    /** Thread: the reader that owns the partition; readers of other partitions at the same time.
     * May block: no longer than a read of a file. Adds up to records_max records. STRID_OK: there
     * may be more now; STRID_AGAIN: nothing more now; STRID_EOF: never more; STRID_EGAP (err
     * filled): this partition stops where it is, the others go on, and the run fails once it ends;
     * another error stops the run. Nothing is lost. */
    strid_status (*poll)(strid_source *self, uint32_t partition, strid_intake *out,
                         uint32_t records_max, strid_error *err);

    /** Thread: committer. May block: no. Everything before `low` is durable here. NULL: not needed.
     */
    strid_status (*ack)(strid_source *self, uint32_t partition, strid_position low,
                        strid_error *err);

    /** Thread: control. May block: yes, until everything is released. Polls have ended. */
    void (*close)(strid_source *self);

    /** Where dead letters of this source go unless the pipeline says otherwise: writes a URL of at
     * most `size` bytes with its terminator. NULL: nowhere, the pipeline has to say. Thread:
     * control, after open. */
    strid_status (*dlq_url)(strid_source *self, char *out, size_t size);

    /** Host programs push records (memory:). Any thread. STRID_AGAIN under back-pressure. NULL: not
     * supported. */
    strid_status (*push)(strid_source *self, uint32_t partition, strid_bytes key, strid_bytes value,
                         int64_t timestamp_ms);
    /** No more pushes come; poll returns STRID_EOF when all is read. Any thread. */
    void (*push_end)(strid_source *self);

    /** Thread: control, while polls run. May block: no. true: opened anew there would be other
     * partitions. The run is drained, the source closed and opened, and reading goes on. NULL: they
     * never change. */
    bool (*changed)(strid_source *self);

    /* The following: UNORDERED sources only, which all have them. */

    /** Exactly these positions are durable here and need not come again. Thread: committer. May
     * block: no. The source copies them and tells them to where they came from, again after a
     * failure. A position may be told twice. */
    void (*ack_many)(strid_source *self, uint32_t partition, const strid_position *positions,
                     uint32_t count);

    /** How many of the positions told since assign, from the first on, have been taken in by the
     * other side. What was read before that has been added by then in a poll that returned: so the
     * number rises when a poll or pump begins. Thread: committer. May block: no. */
    uint64_t (*acked)(strid_source *self, uint32_t partition);

    /** In place of poll, while nothing can be added for want of room, and (`ending`) from the last
     * poll on: sends acknowledgements and takes their answers. Thread and blocking as poll. On
     * error: as poll. */
    strid_status (*pump)(strid_source *self, uint32_t partition, bool ending, strid_error *err);

    /** For tools. NULL: it cannot be looked at. */
    const strid_inspect_ops *inspect;

    /** Hands back dead letters that stand where `dlq` points to, a sink of the same name: each of
     * them returns and goes, or is marked as one that was handed back (`replayed`), in one step,
     * which a crash leaves done or not. The source is open and
     * not assigned; nodes may run. Thread: control. May block: yes. On error: `result` says what
     * was done. NULL: not supported. */
    strid_status (*hand_back)(strid_source *self, const strid_connector_args *dlq,
                              strid_letter_fate_fn fn, void *user,
                              struct strid_dlq_replayed *result, strid_error *err);

    /** Finds the place in each of these partitions; changes nothing. STRID_EBUSY: members of the
     * group are active, but for the node whose state is held. STRID_ENOTFOUND: no such group.
     * STRID_EINVAL: no such position. The source is open and not assigned. Thread: control. May
     * block: yes. NULL: not supported. */
    strid_status (*locate)(strid_source *self, const strid_place *to, strid_relocation *partitions,
                           uint32_t count, strid_error *err);

    /** Moves the group to what locate() found; a repetition changes nothing more. Thread, blocking:
     * as locate. On error: some partitions may have been moved. NULL: the source has no group. */
    strid_status (*move_group)(strid_source *self, const strid_relocation *partitions,
                               uint32_t count, strid_error *err);

    /** In place of assign, where a source can do better than partition by partition: all of them
     * with one call, `resumes` has one for each. NULL: assign is called for each. Thread, blocking
     * and errors as assign. */
    strid_status (*assign_all)(strid_source *self, const strid_resume *resumes, strid_error *err);

    /** Thread: control, after open. May block: no. true: what is acknowledged another node may go
     * on behind; so ack is told no position before which a record waits, is parked or has a dead
     * letter that was not delivered yet. NULL: no. */
    bool (*is_shared)(strid_source *self);

    /** UNORDERED sources: of so many deliveries since assign ack_many will not tell. They are of
     * records that are in hand already, and of which it will tell once, or that are another node's
     * by now (strid_sink_ops.declined) and may come again. Thread: any. May block: no. NULL: the
     * source does not count what is not acknowledged. */
    void (*release)(strid_source *self, uint32_t partition, uint32_t count);

    /** UNORDERED sources: so many records that an earlier run had left are in hand since assign, as
     * if they had been delivered: ack_many or release tells of each. Thread: any. May block: no.
     * NULL: as release. */
    void (*recall)(strid_source *self, uint32_t partition, uint32_t count);

    /** Whether a file of this path, which need not be there, is read in this run or would be if it
     * were there: no sink may write to it, and state that knows it, by its identity, is state of
     * this source. Thread: control, after open. May block: no longer than a look at a file. NULL:
     * the source reads no files. */
    bool (*reads)(strid_source *self, const char *path);

    /** What open would say of the target and the options alone, with nothing opened or looked at;
     * of args, scheme, url, target and options are given. STRID_ECONFIG. Thread: any. May block:
     * no. NULL: there is nothing to say. */
    strid_status (*check)(const strid_connector_args *args, strid_error *err);

    /** Whether dead letters of this source, `target`, would come again as its records from `queue`,
     * the target of a sink of the same name: such a queue is refused. `self` is NULL where nothing
     * is open: what the targets say by themselves. Thread: control. May block: no. NULL: it is not
     * known. */
    bool (*is_fed)(strid_source *self, const char *target, const char *queue);
} strid_source_ops;

#endif
