#include "runtime/worker_retry.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/mutant.h"
#include "runtime/reader.h"
#include "runtime/worker_applied.h"
#include "runtime/worker_applied_waiting.h"
#include "runtime/worker_deferred.h"
#include "runtime/worker_part.h"
#include "runtime/worker_retry_mark.h"
#include "runtime/worker_retry_store.h"

enum {
    STEP_BYTES_MAX = 1 << 20, /* of records that are handled again in one step */
    HALF = 2                  /* of a cache: no more of it goes to the table of waiting keys */
};
_Static_assert((int)BACKOFF_STEPS_MAX == (int)DEFINITION_RETRY_STEPS_MAX, "the list is copied");

/* What waits under one name: a record key, a partition as a whole, or a record alone. */
struct name {
    strid_bytes key;
    uint32_t hash; /* upper half of the key's hash */
    uint8_t flags; /* RETRY_HEAD_* */
};

void worker_retry_init(struct worker *worker)
{
    const struct retry_definition *definition = &worker->run->definition->retry;
    struct worker_retry *retry = &worker->retry;
    const struct directory *directory = worker->run->directory;
    retry->backoff = (struct backoff){.min_ms = definition->min_ms,
                                      .max_ms = definition->max_ms,
                                      .step_count = definition->step_count};
    memcpy(retry->backoff.steps_ms, definition->steps_ms, sizeof definition->steps_ms);
    /* Each worker of each run has numbers of its own, and a run that is repeated the same. */
    retry->random.state = directory->seed ^ (directory->run.run << 16) ^ worker->index;
    retry->cache_bytes = worker->cache.bytes_max;
    retry->changes.has_positions = worker_applied_waiting_is_used(worker);
}

void worker_retry_fini(struct worker *worker)
{
    struct worker_retry *retry = &worker->retry;
    waiting_change_fini(&retry->changes);
    waiting_fini(&retry->waiting);
    decoder_destroy(retry->decoder);
    buffer_fini(&retry->bytes);
    buffer_fini(&retry->headers);
    buffer_fini(&retry->fault);
}

/* What the steps since the last call added to the account of one partition, or took from it: all
 * workers and readers share its numbers, so they are not touched for each record. */
static void settle_account(struct worker_retry *retry)
{
    struct partition *partition = retry->account;
    if (retry->account_records != 0)
        (void)atomic_fetch_add_explicit(&partition->waiting_records,
                                        (uint64_t)retry->account_records, memory_order_relaxed);
    if (retry->account_bytes != 0)
        (void)atomic_fetch_add_explicit(&partition->waiting_bytes, (uint64_t)retry->account_bytes,
                                        memory_order_relaxed);
    retry->account_records = retry->account_bytes = 0;
}

/* The table takes its memory from the cache, so that both stay within the worker's share. What it
 * frees is not given back: the allocator keeps most of it. */
void worker_retry_tell(struct worker *worker)
{
    struct worker_retry *retry = &worker->retry;
    const struct waiting *waiting = &retry->waiting;
    settle_account(retry);
    retry->untold = false;
    uint64_t taken = waiting_memory(waiting) + retry->changes.bytes;
    uint64_t most = retry->cache_bytes / HALF;
    taken = taken < most ? taken : most;
    retry->taken_max = taken > retry->taken_max ? taken : retry->taken_max;
    worker->cache.bytes_max = retry->cache_bytes - retry->taken_max;
    atomic_store_explicit(&retry->sequence, worker->sequence, memory_order_relaxed);
    atomic_store_explicit(&retry->open_keys, waiting->count, memory_order_relaxed);
    atomic_store_explicit(&retry->open_bytes, waiting->bytes, memory_order_relaxed);
    /* release: who sees that nothing is left sees in which block that is said */
    atomic_store_explicit(&retry->open_records, waiting->records, memory_order_release);
}

/* Counts for the bound of a partition; `bytes` and `records` may be negative. */
static void charge(struct worker *worker, const struct waiting_key *key, int64_t records,
                   int64_t bytes)
{
    struct worker_retry *retry = &worker->retry;
    struct partition *partition = run_partition(worker->run, key->head.partition);
    if (retry->account != partition)
        settle_account(retry);
    retry->account = partition;
    retry->account_records += records;
    retry->account_bytes += bytes;
    retry->untold = true;
}

static uint64_t table_hash(uint32_t hash, uint8_t flags, uint64_t seq)
{
    uint32_t low = hash;
    if ((flags & RETRY_HEAD_ALONE) != 0) /* else all of one key would crowd into one place */
        low += (uint32_t)seq * UINT32_C(0x9e3779b1);
    return (uint64_t)hash << 32 | low;
}

/* A copy of the record into retry.bytes. */
static void copy_record(struct worker *worker, const struct chunk_slot *slot, uint32_t attempt,
                        int64_t failed_ms, strid_bytes reason)
{
    const struct partition *partition = worker->context.partition;
    struct retry_record record = {.record = slot->record,
                                  .partition = partition->stored->number,
                                  .attempt = attempt,
                                  .first_ms = failed_ms,
                                  .last_ms = failed_ms,
                                  .topic = strid_bytes_of_text(partition->origin.topic),
                                  .reason = reason};
    buffer_clear(&worker->retry.bytes);
    retry_record_put(&worker->retry.bytes, &record);
}

/* Unreadable records belong to their partition, whatever key came with them; one that was condemned
 * was readable. */
static struct name name_of(const struct worker *worker, const struct chunk_slot *slot,
                           bool as_partition)
{
    const struct partition *partition = worker->context.partition;
    bool readable = slot->fault == NULL || slot->fault == suspect_fault;
    if (!as_partition && readable && slot->record.key.data != NULL)
        return (struct name){.key = slot->record.key, .hash = (uint32_t)(slot->hash >> 32)};
    return (struct name){
        .key = strid_bytes_of(partition->key_bytes, sizeof partition->key_bytes),
        .hash = (uint32_t)(run_hash(worker->run, partition->key_hash) >> 32),
        .flags = (uint8_t)(RETRY_HEAD_KEYLESS | (as_partition ? RETRY_HEAD_PARTITION : 0))};
}

static struct waiting_key *find(const struct worker *worker, const struct name *name)
{
    return waiting_find(&worker->retry.waiting, table_hash(name->hash, name->flags, 0), name->flags,
                        name->key);
}

/* Behind what the record has to wait; NULL: nothing. */
static struct waiting_key *find_before(const struct worker *worker, const struct chunk_slot *slot)
{
    strid_ordering ordering = worker->run->definition->retry.ordering;
    if (ordering == STRID_ORDERING_NONE)
        return NULL;
    bool whole = ordering == STRID_ORDERING_PARTITION && !MUTANT(MUTANT_PARTITION_PASSED);
    struct name name = name_of(worker, slot, whole);
    struct waiting_key *before = find(worker, &name);
    if (before != NULL || !whole)
        return before;
    name = name_of(worker, slot, false); /* what waits since another run, which ordered by key */
    return find(worker, &name);
}

/* A partition whose records are parked for the account of another one is held with it. */
static void hold(struct worker *worker, const struct waiting_key *before)
{
    const struct retry_definition *bounds = &worker->run->definition->retry;
    struct partition *own = worker->context.partition;
    struct partition *account = run_partition(worker->run, before->head.partition);
    if (own == account)
        return;
    settle_account(&worker->retry);
    if (atomic_load_explicit(&account->waiting_records, memory_order_relaxed) >=
            bounds->max_parked ||
        atomic_load_explicit(&account->waiting_bytes, memory_order_relaxed) >=
            bounds->max_parked_bytes)
        atomic_store_explicit(&own->held_by, account->index, memory_order_relaxed);
}

bool worker_retry_park(struct worker *worker, const struct chunk_slot *slot)
{
    struct worker_retry *retry = &worker->retry;
    struct waiting_key *before = find_before(worker, slot);
    if (before == NULL || MUTANT(MUTANT_OVERTAKEN) ||
        (before->open && MUTANT(MUTANT_OPEN_PASSED)) ||
        slot->fault == chunk_unmatched) /* which is only passed over */
        return false;
    const char *fault = slot->fault == NULL ? "" : slot->fault;
    copy_record(worker, slot, 0, 0, strid_bytes_of_text(fault));
    size_t bytes = retry->bytes.len;
    worker_retry_store_add(worker, before, waiting_park(&retry->waiting, before, bytes));
    charge(worker, before, 1, (int64_t)bytes);
    hold(worker, before);
    worker_applied_keep(worker);
    retry->parks++;
    return true;
}

/* A new name under which the record in hand, which is in retry.bytes, waits. With its due time at
 * once: scheduled behind all others it stays where the heap ends. */
static struct waiting_key *add(struct worker *worker, const struct chunk_slot *slot, int64_t due_ms)
{
    struct worker_retry *retry = &worker->retry;
    strid_ordering ordering = worker->run->definition->retry.ordering;
    struct name name = name_of(worker, slot, ordering == STRID_ORDERING_PARTITION);
    uint8_t alone[KEY_RECORD_KEY_MAX + RETRY_SUBKEY_BYTES];
    uint64_t seq = ++retry->last_seq;
    if (ordering == STRID_ORDERING_NONE) {
        name.flags |= RETRY_HEAD_ALONE;
        if (name.key.len > 0)
            memcpy(alone, name.key.data, name.key.len);
        retry_record_subkey(alone + name.key.len, seq);
        name.key = strid_bytes_of(alone, name.key.len + RETRY_SUBKEY_BYTES);
    }
    struct retry_head head = {.first_seq = seq,
                              .last_seq = seq,
                              .bytes = retry->bytes.len,
                              .due_ms = due_ms,
                              .attempt = worker->context.attempt,
                              .partition = worker->context.partition->stored->number,
                              .flags = name.flags};
    struct waiting_key *key =
        waiting_add(&retry->waiting, table_hash(name.hash, name.flags, seq), name.key, &head);
    worker_retry_store_add(worker, key, seq);
    worker_applied_keep(worker);
    charge(worker, key, 1, (int64_t)head.bytes);
    return key;
}

void worker_retry_wait(struct worker *worker, const struct chunk_slot *slot)
{
    struct worker_retry *retry = &worker->retry;
    const struct strid_context *context = &worker->context;
    int64_t now_ms = clock_wall_ms(worker->run->clock);
    int64_t due_ms = now_ms + backoff_delay_ms(&retry->backoff, context->attempt, &retry->random);
    struct waiting_key *key = retry->key;
    if (key == NULL) {
        copy_record(worker, slot, context->attempt, now_ms, strid_bytes_of_text(context->reason));
        key = add(worker, slot, due_ms);
    } else {
        retry->again = true;
        worker_retry_store_note(worker, key);
        key->head.attempt = context->attempt;
        waiting_schedule(&retry->waiting, key, due_ms);
    }
    if (key->head.first_ms == 0)
        key->head.first_ms = now_ms;
    retry->untold = true;
}

struct waiting_key *worker_retry_hold(struct worker *worker, const struct chunk_slot *slot)
{
    struct worker_retry *retry = &worker->retry;
    struct waiting_key *key = retry->key;
    if (key == NULL) {
        const struct strid_context *context = &worker->context;
        copy_record(worker, slot, context->attempt, 0, strid_bytes_of_text(""));
        key = add(worker, slot, INT64_MAX);
    } else {
        retry->again = true;
        worker_retry_store_note(worker, key);
        waiting_schedule(&retry->waiting, key, INT64_MAX);
    }
    key->open = true;
    retry->untold = true;
    return key;
}

static void fail_damaged(struct worker *worker, const char *what)
{
    strid_error err = STRID_ERROR_INIT;
    (void)error_set(&err, STRID_ECORRUPT, "retry",
                    "%s in %s cannot be read; nothing was changed: run the version of strid that "
                    "wrote it, or restore the directory from a backup",
                    what, worker->run->directory->url);
    run_fail(worker->run, &err);
    worker->context.failed = true;
}

static void fail_ordering(struct worker *worker)
{
    strid_error err = STRID_ERROR_INIT;
    (void)error_set(&err, STRID_ESTATE, "retry",
                    "records in %s wait in the order of their partition, which \"ordering: "
                    "partition\" began; run with it until nothing waits, then change it",
                    worker->run->directory->url);
    run_fail(worker->run, &err);
}

struct load {
    struct worker *worker;
    int64_t now_ms;
    bool damaged, misordered;
};

/* Due times are on the wall clock, which may have been set since: nothing waits longer than the
 * longest pause. */
static bool load_head(void *user, const struct key_state *state, const struct key_value *value)
{
    struct load *load = user;
    struct worker *worker = load->worker;
    struct worker_retry *retry = &worker->retry;
    struct retry_head head;
    bool alone = state->sub_len != 0;
    if (value->kind != STRID_STATE_BYTES || !retry_record_get_head(value->bytes, &head) ||
        alone != ((head.flags & RETRY_HEAD_ALONE) != 0) ||
        (alone && state->sub_len != RETRY_SUBKEY_BYTES) ||
        run_partition(worker->run, head.partition) == NULL) {
        load->damaged = true;
        return false;
    }
    if ((head.flags & RETRY_HEAD_PARTITION) != 0 &&
        worker->run->definition->retry.ordering != STRID_ORDERING_PARTITION) {
        load->misordered = true;
        return false;
    }
    int64_t latest_ms = load->now_ms + backoff_longest_ms(&retry->backoff);
    head.due_ms = head.due_ms < latest_ms ? head.due_ms : latest_ms;
    if (head.last_seq > retry->last_seq)
        retry->last_seq = head.last_seq;
    struct waiting_key *key = waiting_add(
        &retry->waiting, table_hash(state->hash, head.flags, head.first_seq), state->key, &head);
    key->stored = true;
    charge(worker, key, (int64_t)(head.last_seq - head.first_seq + 1), (int64_t)head.bytes);
    return true;
}

bool worker_retry_load(struct worker *worker)
{
    struct worker_retry *retry = &worker->retry;
    struct load load = {.worker = worker, .now_ms = clock_wall_ms(worker->run->clock)};
    if (run_failed(worker->run) ||
        !worker_retry_mark_each(worker, WORKER_RETRY_HEAD_STORE, load_head, &load))
        return false;
    if (!load.damaged && worker_applied_waiting_is_used(worker) &&
        !worker_applied_waiting_load(worker, &load.damaged) && !load.damaged)
        return false;
    if (load.damaged)
        fail_damaged(worker, "what is said about waiting records");
    if (load.misordered)
        fail_ordering(worker);
    if (load.damaged || load.misordered)
        return false;
    retry->loaded = true;
    worker_retry_tell(worker);
    atomic_store_explicit(&retry->sequence, 0, memory_order_relaxed); /* nothing was changed */
    atomic_store_explicit(&retry->known, true, memory_order_release);
    for (uint32_t r = 0; r < worker->run->reader_count; r++)
        agent_wake(&worker->run->readers[r].agent); /* they wait for it */
    return true;
}

/* The first record of the key, which is in retry.slot, is done with: those behind it follow at
 * once. */
static void advance(struct worker *worker, struct waiting_key *key, size_t bytes, int64_t now_ms)
{
    struct worker_retry *retry = &worker->retry;
    const struct partition *partition = worker->context.partition;
    const strid_position position = retry->slot.record.position;
    if (!worker->applied.is_kept) /* it has no dead letter */
        worker_applied_settle(worker, partition, position, (uint32_t)(retry->slot.hash >> 56));
    charge(worker, key, -1, -(int64_t)bytes);
    worker_retry_store_settle(worker, key, partition->stored->number, position);
    if (waiting_advance(&retry->waiting, key, bytes)) {
        waiting_schedule(&retry->waiting, key, now_ms);
        worker_retry_store_note(worker, key);
    }
}

/* What is in retry.slot, of retry.key; alone, where it is a suspect. */
static void handle_in_hand(struct worker *worker, const struct worker_found *found,
                           struct suspect *suspect)
{
    struct worker_retry *retry = &worker->retry;
    if (suspect != NULL && suspect_is_condemned(suspect))
        retry->slot.fault = suspect_fault;
    else if (suspect != NULL)
        suspect_begin(suspect);
    worker_handle_one(worker, &retry->slot, found, retry->key->head.attempt);
    if (suspect == NULL)
        return;
    suspect_end(worker, suspect, !worker->context.failed);
    suspect_leave_gate(worker);
}

/* Its first record, or the deferral of it is settled. false: nothing more may be handled now. */
static bool handle_first(struct worker *worker, struct waiting_key *key, int64_t now_ms,
                         size_t *bytes, struct worker_deferral *deferral)
{
    struct worker_retry *retry = &worker->retry;
    struct retry_record record;
    strid_bytes copy;
    if (!worker_retry_store_first(worker, key, &copy)) {
        worker->context.failed = true;
        return false;
    }
    const size_t len = copy.len;
    struct partition *partition = NULL;
    if (len > 0 && retry_record_get(copy, &retry->headers, &record) && len <= key->head.bytes)
        partition = run_partition(worker->run, record.partition);
    if (partition == NULL) {
        fail_damaged(worker, "a waiting record");
        return false;
    }
    *bytes += len;
    /* acquire, as for a chunk: a partition that was taken away is handled by its next owner */
    if (atomic_load_explicit(&partition->epoch, memory_order_acquire) != 0) {
        waiting_schedule(&retry->waiting, key, now_ms + backoff_longest_ms(&retry->backoff) + 1);
        return true;
    }
    worker->context.partition = partition;
    retry->topic = record.topic;
    struct suspect *suspect = NULL;
    if (deferral == NULL && suspect_any(&worker->run->suspects))
        suspect = suspect_find(worker->run, record.partition, record.record.position);
    if (suspect != NULL && !suspect_take_gate(worker))
        return false; /* again when the others stand still */
    if (!worker_retry_fill_slot(worker, &record, key))
        return false;
    struct worker_found found = {.route = route_find(&worker->routes, retry->slot.record.type)};
    retry->key = key;
    retry->again = worker->applied.is_kept = false;
    if (deferral != NULL)
        worker_deferred_settle(worker, &retry->slot, &found, deferral);
    else
        handle_in_hand(worker, &found, suspect);
    retry->key = NULL;
    if (!worker->context.failed && !retry->again)
        advance(worker, key, len, now_ms);
    worker->applied.is_kept = false;
    return !worker->context.failed;
}

void worker_retry_finish(struct worker *worker, struct waiting_key *key,
                         struct worker_deferral *deferral)
{
    size_t bytes = 0;
    key->open = false;
    route_table_trim(&worker->routes);
    (void)handle_first(worker, key, clock_wall_ms(worker->run->clock), &bytes, deferral);
}

int worker_retry_step(struct worker *worker)
{
    struct worker_retry *retry = &worker->retry;
    struct run *run = worker->run;
    int64_t now_ms = clock_wall_ms(run->clock);
    int handled = 0;
    size_t bytes = 0;
    worker->context.failed = false;
    if (suspect_any(&run->suspects) && !suspect_may_pass(worker))
        return 0;
    /* Behind what an earlier pause could give: the clock was set back. */
    int64_t latest_ms = now_ms + backoff_longest_ms(&retry->backoff) + 1;
    int64_t next_ms = waiting_next_ms(&retry->waiting); /* INT64_MAX: all are open */
    if (next_ms > latest_ms && next_ms != INT64_MAX)
        waiting_limit(&retry->waiting, latest_ms);
    route_table_trim(&worker->routes); /* no slot holds a route between two chunks */
    while (handled < WORKER_RETRY_RECORDS && bytes < STEP_BYTES_MAX &&
           (handled == 0 || !worker_part_is_full(worker)) && run_stop(run) == RUN_CONTINUE) {
        struct waiting_key *key = waiting_due(&retry->waiting, now_ms);
        if (key == NULL || !handle_first(worker, key, now_ms, &bytes, NULL))
            break;
        handled++;
    }
    worker_deferred_withdraw(worker);
    worker_handle_count(worker);
    return handled;
}
