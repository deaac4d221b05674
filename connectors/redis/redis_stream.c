#include "redis_stream.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include "redis_ack.h"
#include "redis_answer.h"
#include "redis_claim.h"
#include "redis_command.h"
#include "redis_delivery.h"
#include "redis_group.h"
#include "redis_id.h"
#include "redis_mark.h"
#include "redis_missing.h"
#include "redis_reads.h"
#include "redis_trim.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define COMPONENT "redis"

enum {
    WAIT_MS = 1,
    REPLIES_MAX = 64 /* of one poll */
};

void redis_stream_init(struct redis_stream *stream, const struct redis_address *address,
                       const char *name, const struct redis_source_options *options,
                       const struct redis_stream_share *share, const char *pipeline,
                       const struct log *log)
{
    stream->options = options;
    stream->share = *share;
    stream->log = log;
    stream->name = name;
    redis_connection_init(&stream->connection, address, pipeline);
    pthread_mutex_init(&stream->told.lock, NULL);
}

void redis_stream_fini(struct redis_stream *stream)
{
    if (stream->name == NULL)
        return;
    redis_connection_fini(&stream->connection);
    redis_entries_fini(&stream->entries);
    redis_record_fini(&stream->record);
    buffer_fini(&stream->acks);
    buffer_fini(&stream->missing.refreshed);
    buffer_fini(&stream->missing.lacking);
    buffer_fini(&stream->delivery.condemned);
    buffer_fini(&stream->told.positions);
    pthread_mutex_destroy(&stream->told.lock);
    stream->name = NULL;
}

bool redis_stream_has_room(const struct redis_stream *stream)
{
    return stream->expected_count < REDIS_STREAM_EXPECTED;
}

uint64_t redis_stream_unacknowledged(const struct redis_stream *stream)
{
    const uint64_t past =
        stream->answered + atomic_load_explicit(&stream->released, memory_order_relaxed);
    const uint64_t all =
        stream->in_hand + atomic_load_explicit(&stream->recalled, memory_order_relaxed);
    return all > past ? all - past : 0;
}

bool redis_stream_has_credit(const struct redis_stream *stream)
{
    return redis_stream_unacknowledged(stream) < stream->share.unacknowledged;
}

void redis_stream_release(struct redis_stream *stream, uint32_t count)
{
    (void)atomic_fetch_add_explicit(&stream->released, count, memory_order_relaxed);
}

void redis_stream_recall(struct redis_stream *stream, uint32_t count)
{
    (void)atomic_fetch_add_explicit(&stream->recalled, count, memory_order_relaxed);
}

void redis_stream_expect(struct redis_stream *stream, enum redis_expected_kind kind, uint32_t count)
{
    STRID_ASSERT(redis_stream_has_room(stream));
    uint32_t at = (stream->expected_head + stream->expected_count++) % REDIS_STREAM_EXPECTED;
    stream->expected[at] = (struct redis_expected){.kind = kind, .count = count};
}

void redis_stream_command(struct redis_stream *stream, uint32_t words, const char *verb)
{
    struct buffer *out = &stream->connection.out;
    redis_command_begin(out, words);
    redis_command_text(out, verb);
    redis_command_text(out, stream->name);
    redis_command_text(out, stream->options->group);
}

void redis_stream_put_id(struct redis_stream *stream, strid_position id)
{
    char text[REDIS_ID_MAX];
    size_t len = redis_id_format(id, text);
    redis_command_word(&stream->connection.out, strid_bytes_of(text, len));
}

/* Drops what the last connection had under way: what it read comes again as own pending entries,
 * what it acknowledged without an answer is acknowledged again. */
static void begin_connection(struct redis_stream *stream)
{
    stream->entries.at = stream->entries.staged.len;
    stream->entries.shape = REDIS_ENTRIES_NONE;
    stream->connection.replies.entries = &stream->entries;
    stream->expected_head = stream->expected_count = stream->reads = stream->acks_sent = 0;
    stream->acks_sent_at = stream->acks_answered_at;
    stream->is_history = true;
    stream->has_more = false;
    stream->history_from = (strid_position){0, 0};
    redis_delivery_restart(stream);
    redis_claim_restart(stream);
    redis_missing_restart(stream);
    redis_mark_restart(stream);
    redis_trim_restart(stream);
    stream->quiet.moves = stream->connection.moves;
    stream->quiet.since_ns = clock_monotonic_ns(&clock_system);
}

/* STRID_AGAIN: not now; an error: never, without a change. */
static strid_status connect_once(struct redis_stream *stream, strid_error *err)
{
    if (stream->connection.is_open)
        return STRID_OK;
    strid_status status = redis_connection_open(&stream->connection, err);
    if (status != STRID_OK)
        return status;
    begin_connection(stream);
    if (stream->is_ending)
        return STRID_OK;
    status = redis_group_prepare(stream, err);
    if (status != STRID_OK && stream->connection.is_open)
        (void)redis_connection_fail(&stream->connection, status, err);
    return status;
}

static bool may_pass(const strid_error *err) { return (err->flags & STRID_ERROR_RETRIABLE) != 0; }

/* Whether it is worth telling: the first trouble, and one of another kind. */
static bool is_news(struct redis_stream *stream, const strid_error *err)
{
    const bool is_news = !stream->is_told || stream->told_as != err->status;
    stream->is_told = true;
    stream->told_as = err->status;
    return is_news;
}

/* Tells once that a server is away, and once that it is back. */
static strid_status ensure_open(struct redis_stream *stream, strid_error *err)
{
    strid_error own = STRID_ERROR_INIT;
    strid_status status = connect_once(stream, &own);
    if (status == STRID_OK && stream->is_told)
        log_info(stream->log, COMPONENT, "stream %s: connected again", stream->name);
    if (status == STRID_OK) {
        stream->is_told = false;
        return STRID_OK;
    }
    if (!may_pass(&own)) {
        if (err != NULL)
            *err = own;
        return error_wrap(err, status, "stream %s", stream->name);
    }
    if (is_news(stream, &own))
        log_warn(stream->log, COMPONENT, "stream %s: %s; trying until it is there", stream->name,
                 own.message);
    return STRID_AGAIN;
}

strid_status redis_stream_assign(struct redis_stream *stream, const char *consumer,
                                 const strid_resume *resume, strid_error *err)
{
    strid_error own = STRID_ERROR_INIT;
    STRID_ASSERT(strlen(consumer) < sizeof stream->consumer);
    memcpy(stream->consumer, consumer, strlen(consumer) + 1);
    stream->highest = redis_id_before(resume->position);
    redis_stream_see(stream, stream->highest);
    stream->has_mark = stream->has_mark || resume->fingerprint.len > 0 ||
                       stream->highest.high != 0 || stream->highest.low != 0;
    stream->is_renamed =
        resume->fingerprint.len > 0 &&
        !strid_bytes_equal(resume->fingerprint, strid_bytes_of_text(stream->consumer));
    stream->is_ending = stream->is_told = stream->is_look_due = stream->is_mark_told = false;
    stream->answered = stream->in_hand = 0;
    stream->rest.moves = UINT64_MAX; /* it begins with the first look */
    atomic_store_explicit(&stream->released, 0, memory_order_relaxed);
    atomic_store_explicit(&stream->recalled, 0, memory_order_relaxed);
    stream->delivery.is_claim_unknown = true;
    stream->acks_answered_at = stream->acks_sent_at = 0;
    buffer_clear(&stream->acks);
    buffer_clear(&stream->told.positions);
    atomic_store_explicit(&stream->told.count, 0, memory_order_relaxed);
    atomic_store_explicit(&stream->acked, 0, memory_order_release);
    redis_connection_close(&stream->connection);
    for (int64_t attempt = 1;; attempt++) {
        strid_status status = connect_once(stream, &own);
        if (status == STRID_OK)
            return STRID_OK;
        if (!may_pass(&own) || attempt >= stream->options->attempts) {
            if (err != NULL)
                *err = own;
            return error_wrap(err, status, "stream %s", stream->name);
        }
        log_warn(stream->log, COMPONENT, "stream %s: attempt %" PRId64 " of %" PRId64 ": %s",
                 stream->name, attempt, stream->options->attempts, own.message);
        int64_t pause_ms = redis_connection_wait_ms(&stream->connection);
        if (pause_ms < stream->options->attempt_delay_ms)
            pause_ms = stream->options->attempt_delay_ms;
        (void)poll(NULL, 0, (int)pause_ms);
    }
}

/* A new entry with an old ID: the group went back to an earlier state. */
static void see_new(struct redis_stream *stream, strid_position id)
{
    if (strid_position_compare(id, stream->highest) > 0) {
        stream->highest = id;
        return;
    }
    if (stream->counts.redelivered++ == 0)
        log_error(stream->log, COMPONENT,
                  "stream %s: entry %" PRIu64 "-%" PRIu64 " comes as a new one though later ones "
                  "came before: the server has lost what it knew of group %s; entries that were "
                  "acknowledged before come again",
                  stream->name, id.high, id.low, stream->options->group);
}

/* false: the engine takes no more for now. */
static bool hand_over(struct redis_stream *stream, strid_intake *intake, uint32_t *left)
{
    struct redis_entry_head head;
    struct cursor fields;
    while (redis_entries_peek(&stream->entries, &head, &fields)) {
        if (head.is_gone) {
            redis_ack_gone(stream, head.id);
            redis_claim_settle(stream, &head.id, 1);
            redis_entries_take(&stream->entries);
            continue;
        }
        if (*left == 0)
            return false;
        redis_record_make(&stream->record, stream->options, &head, fields);
        redis_delivery_judge(stream, &stream->record.raw);
        if (strid_intake_add(intake, &stream->record.raw) != STRID_OK)
            return false;
        redis_entries_take(&stream->entries);
        redis_delivery_forget(stream, head.id);
        redis_stream_see(stream, head.id);
        stream->in_hand++;
        --*left;
        if (stream->staged == REDIS_EXPECTED_NEW)
            see_new(stream, head.id);
    }
    return true;
}

/* What passes is no failure of the run. */
static strid_status judge(struct redis_stream *stream, strid_status status, strid_error *own,
                          strid_error *err)
{
    if (status == STRID_OK || status == STRID_AGAIN)
        return status;
    if (may_pass(own)) {
        if (is_news(stream, own))
            log_warn(stream->log, COMPONENT, "stream %s: %s", stream->name, own->message);
        return STRID_AGAIN;
    }
    if (err != NULL)
        *err = *own;
    return error_wrap(err, status, "stream %s", stream->name);
}

/* Rises no earlier than the poll in which the entries before it were added has returned. */
static void publish(struct redis_stream *stream)
{
    atomic_store_explicit(&stream->acked, stream->answered, memory_order_release);
}

/* A second poll that finds nothing waits where an answer would be seen at once. */
static bool wait_a_moment(const struct redis_stream *stream)
{
    const struct redis_connection *connection = &stream->connection;
    return redis_socket_wait(&connection->socket, connection->sent < connection->out.len, WAIT_MS);
}

/* Everything that is to be sent. */
static void plan(struct redis_stream *stream, int64_t now_ns)
{
    redis_ack_plan(stream);
    redis_claim_plan(stream, now_ns);
    redis_missing_plan(stream);
    redis_mark_plan(stream, now_ns);
    redis_trim_plan(stream, now_ns);
    redis_reads_plan(stream, now_ns);
}

/* What sets the counts of own entries back leaves before they are handed over: an entry that ends
 * the process must not run up those of all that are read with it, each time that it does. */
static strid_status send_counts(struct redis_stream *stream, strid_error *err)
{
    if (stream->staged != REDIS_EXPECTED_HISTORY || redis_entries_is_empty(&stream->entries))
        return STRID_OK;
    return redis_connection_send(&stream->connection, err);
}

strid_status redis_stream_poll(struct redis_stream *stream, strid_intake *intake,
                               uint32_t records_max, strid_error *err)
{
    strid_error own = STRID_ERROR_INIT;
    uint32_t left = records_max;
    const bool is_idle = stream->is_idle;
    stream->is_idle = false;
    publish(stream);
    STRID_TRY(ensure_open(stream, err));
    for (int i = 0; i < REPLIES_MAX; i++) {
        strid_status status = send_counts(stream, &own);
        if (status != STRID_OK)
            return judge(stream, status, &own, err);
        if (!hand_over(stream, intake, &left))
            return STRID_AGAIN;
        plan(stream, clock_monotonic_ns(&clock_system));
        status = redis_answer_take(stream, &own);
        if (status == STRID_AGAIN && left == records_max && is_idle && wait_a_moment(stream))
            status = redis_answer_take(stream, &own);
        stream->is_idle = status == STRID_AGAIN && left == records_max;
        if (status != STRID_OK)
            return judge(stream, status, &own, err);
        if (!stream->connection.is_open)
            return STRID_AGAIN;
    }
    return STRID_OK;
}

/* At the end nothing more is read: a read that the server holds would keep acknowledgements waiting
 * behind it, so it is given up with its connection. What it may bring stays pending. A server that
 * is away is not waited for to have a last look at the group: the next run looks. */
static void begin_end(struct redis_stream *stream)
{
    stream->is_ending = true;
    stream->is_look_due = stream->connection.is_open;
    stream->entries.at = stream->entries.staged.len;
    if (stream->reads == 0 && stream->entries.shape == REDIS_ENTRIES_NONE)
        return;
    redis_connection_close(&stream->connection);
    stream->expected_count = 0;
}

/* While the engine takes nothing, what was read is in the way of the answers behind it. It stays
 * pending and comes again; what must not wait is that the own entries look idle. */
static void clear_the_way(struct redis_stream *stream, int64_t now_ns)
{
    const bool is_in_the_way =
        stream->reads > 0 || stream->claim.is_asked || !redis_entries_is_empty(&stream->entries);
    if (!is_in_the_way || !redis_claim_is_refresh_late(stream, now_ns))
        return;
    redis_connection_close(&stream->connection);
    stream->entries.at = stream->entries.staged.len;
    stream->entries.shape = REDIS_ENTRIES_NONE;
    stream->expected_count = stream->reads = 0;
}

static void look_a_last_time(struct redis_stream *stream)
{
    if (!stream->is_look_due || !redis_stream_has_room(stream))
        return;
    stream->is_look_due = false;
    stream->timers.marking = false;
    stream->timers.mark_ns = 0;
    redis_mark_plan(stream, 0);
}

strid_status redis_stream_pump(struct redis_stream *stream, bool ending, strid_error *err)
{
    strid_error own = STRID_ERROR_INIT;
    publish(stream);
    if (ending && !stream->is_ending)
        begin_end(stream);
    redis_ack_take(stream);
    const int64_t now_ns = clock_monotonic_ns(&clock_system);
    const bool is_due = redis_claim_is_refresh_due(stream, now_ns);
    clear_the_way(stream, now_ns);
    const bool is_lost = stream->is_ending && !stream->connection.is_open; /* no answer will come */
    const bool is_done =
        stream->acks_answered_at == stream->acks.len && (stream->expected_count == 0 || is_lost);
    if (is_done && !stream->is_look_due && !is_due && !redis_missing_is_due(stream))
        return STRID_OK;
    const bool was_open = stream->connection.is_open;
    strid_status status = ensure_open(stream, err);
    if (status == STRID_AGAIN && is_done && stream->is_ending) { /* only looks are left */
        stream->is_look_due = false;
        redis_missing_give_up(stream);
    }
    STRID_TRY(status);
    if (is_due && !was_open) /* a new connection would wait again */
        stream->timers.refresh_ns = now_ns;
    redis_ack_plan(stream);
    redis_claim_plan_refresh(stream, now_ns);
    look_a_last_time(stream);
    redis_missing_plan(stream);
    for (int i = 0; i < REPLIES_MAX && redis_entries_is_empty(&stream->entries); i++) {
        status = redis_answer_take(stream, &own);
        if (status != STRID_OK)
            return judge(stream, status, &own, err);
        if (!stream->connection.is_open)
            return STRID_AGAIN;
        if (ending)
            stream->entries.at = stream->entries.staged.len;
    }
    return STRID_OK;
}
