#include "runtime/worker.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mutant.h"
#include "runtime/delivery.h"
#include "runtime/worker_applied.h"
#include "runtime/worker_deferred.h"
#include "runtime/worker_part.h"
#include "runtime/worker_retry.h"

enum {
    DEFERRED_TOO = 1u << 8, /* among what handlers said: one of them deferred its outcome */
    APPLIED_AHEAD = 8       /* records */
};

static void dead_letter(struct worker *worker, struct chunk_slot *slot, const char *reason,
                        uint32_t attempts)
{
    struct run *run = worker->run;
    uint32_t dlq = run->delivery_count - 1;
    if (run->deliveries[dlq].instance->definition == NULL) {
        strid_error err = STRID_ERROR_INIT;
        (void)error_set(&err, STRID_ECONFIG, "worker",
                        "a record of %s has to be dead-lettered (%s), and there is no dead-letter "
                        "queue; add `dlq: { url: ... }` to the pipeline and run it again",
                        slot->record.origin->source, reason);
        run_fail(run, &err);
        worker->context.failed = true;
        return;
    }
    int64_t now = clock_wall_ms(run->clock), first = worker_retry_first_ms(worker);
    struct outbox_failure failure = {.reason = strid_bytes_of_text(reason),
                                     .attempts = attempts,
                                     .first_ms = first == 0 ? now : first,
                                     .last_ms = now};
    outbox_add(worker, worker->context.partition->index, &slot->record, worker->context.hash,
               &failure);
    worker->context.failed = run_failed(run);
    worker_count(&worker->counters.dead_lettered, 1);
}

/* A call that the watchdog told ran too long: what it did may be half done or late, so it counts as
 * a failed attempt; a rejection stays one. */
static strid_outcome outcome_of_late(struct worker *worker, strid_outcome outcome)
{
    worker_count(&worker->counters.timed_out, 1);
    if (outcome >= STRID_REJECT && outcome != STRID_DEFERRED)
        return outcome;
    strid_set_reason(&worker->context, "timeout");
    return STRID_RETRY;
}

/* The worst of what handlers said, with DEFERRED_TOO where one of them deferred its outcome. Apart
 * from the loop, in which nearly all say done. */
static __attribute__((noinline)) uint32_t worse(struct worker *worker, uint32_t worst,
                                                strid_outcome outcome)
{
    if (outcome == STRID_DEFERRED && worker_deferred_confirm(worker))
        return worst | DEFERRED_TOO;
    if (outcome >= STRID_REJECT)
        return STRID_REJECT; /* also a number that is no outcome */
    uint32_t deferred = worst & DEFERRED_TOO;
    worst &= ~(uint32_t)DEFERRED_TOO;
    return deferred | ((uint32_t)outcome > worst ? (uint32_t)outcome : worst);
}

/* Every handler of the record's type, in one write set; the outcome is the worst of theirs. */
static inline uint32_t call_handlers(struct worker *worker, struct chunk_slot *slot)
{
    const struct definition *definition = worker->run->definition;
    const struct route *handlers = worker->context.route;
    uint32_t worst = STRID_DONE;
    for (uint32_t i = 0; i < handlers->handler_count; i++) {
        const struct route_definition *route = &definition->routes[handlers->handlers[i]];
        atomic_store_explicit(&worker->hand.route, handlers->handlers[i], memory_order_relaxed);
        atomic_store_explicit(&worker->hand.calls, ++worker->call_count, memory_order_relaxed);
        strid_outcome outcome = route->handler(&worker->context, &slot->record, route->user);
        /* relaxed: only the number matters, and a call that is told too late was in time */
        if (__builtin_expect(atomic_load_explicit(&worker->hand.overdue, memory_order_relaxed) ==
                                     worker->call_count &&
                                 !MUTANT(MUTANT_TIMEOUT_IGNORED),
                             0))
            outcome = outcome_of_late(worker, outcome);
        if (__builtin_expect(outcome != STRID_DONE, 0)) {
            worst = worse(worker, worst, outcome);
            if (worst == STRID_REJECT)
                break;
        }
    }
    return worst;
}

/* Apart from settle(), which runs for every record: the text is large, and what is seldom done. */
static __attribute__((noinline)) void give_up(struct worker *worker, struct chunk_slot *slot,
                                              strid_outcome outcome)
{
    struct strid_context *context = &worker->context;
    char reason[CONTEXT_REASON_MAX + 32];
    (void)snprintf(reason, sizeof reason, "%s%s%s",
                   outcome == STRID_RETRY ? "attempts_exhausted" : "rejected",
                   context->reason[0] == '\0' ? "" : ": ", context->reason);
    dead_letter(worker, slot, reason, context->attempt);
    context_merge(context);
}

/* Another attempt: the host makes it, or the record waits for it. */
static void retry(struct worker *worker, struct chunk_slot *slot)
{
    const struct retry_definition *retry = &worker->run->definition->retry;
    struct strid_context *context = &worker->context;
    if (retry->hook != NULL &&
        retry->hook(retry->hook_user, &slot->record, context->attempt, context->reason)) {
        worker_count(&worker->counters.handed_over, 1);
        if (!MUTANT(MUTANT_HANDED_KEPT))
            return;
    }
    worker_count(&worker->counters.retried, 1);
    worker_retry_wait(worker, slot);
}

static inline void settle_done(struct worker *worker)
{
    struct strid_context *context = &worker->context;
    if (context->output_count > 0)
        worker_count(&worker->counters.outputs, context->output_count);
    context_merge(context);
    worker->tally.done++;
}

/* What becomes of a record whose handlers have spoken. */
void worker_handle_settle(struct worker *worker, struct chunk_slot *slot, strid_outcome outcome)
{
    struct strid_context *context = &worker->context;
    switch (outcome) {
    case STRID_DONE:
        settle_done(worker);
        return;
    case STRID_DEFERRED: /* it waits */
        return;
    case STRID_SKIP:
        context_drop(context);
        worker->tally.skipped++;
        return;
    case STRID_RETRY:
        context_drop(context);
        if (++context->attempt < worker->run->definition->max_attempts) {
            retry(worker, slot);
            return;
        }
        break;
    case STRID_REJECT:
        context_drop(context);
        context->attempt++;
        break;
    }
    give_up(worker, slot, outcome);
}

/* Anything but done, as call_handlers() says it. */
static __attribute__((noinline)) void settle_other(struct worker *worker, struct chunk_slot *slot,
                                                   uint32_t said)
{
    strid_outcome worst = (strid_outcome)(said & ~(uint32_t)DEFERRED_TOO);
    if ((said & DEFERRED_TOO) != 0 && worst < STRID_RETRY)
        worker_deferred_hold(worker, slot, worst);
    else
        worker_handle_settle(worker, slot, worst);
}

/* A record that no handler is called for. */
static __attribute__((noinline)) void pass_over(struct worker *worker, struct chunk_slot *slot)
{
    if (slot->fault == chunk_unmatched) {
        worker->tally.skipped++;
        return;
    }
    if (slot->fault == NULL && worker->run->definition->unrouted != DEFINITION_UNROUTED_DLQ) {
        worker->tally.unrouted++;
        return;
    }
    const char *reason = slot->fault == NULL ? "unrouted" : slot->fault;
    dead_letter(worker, slot, reason, slot->fault == suspect_fault ? CRASH_SLOTS_CRASHES_MAX : 0);
    context_merge(&worker->context);
}

/* What nearly every record goes through is inline, the rest apart: retries, dead letters and
 * deferrals cost nothing where there are none. */
static inline __attribute__((always_inline)) void handle(struct worker *worker,
                                                         struct chunk_slot *slot,
                                                         const struct worker_found *found,
                                                         uint32_t attempt)
{
    struct strid_context *context = &worker->context;
    context_begin(context, worker, slot, found);
    context->attempt = attempt;
    if (__builtin_expect(slot->fault != NULL || found->route->handler_count == 0, 0)) {
        pass_over(worker, slot);
        return;
    }
    crash_slot_set(worker->mark, slot->record.position);
    uint32_t said = call_handlers(worker, slot);
    if (__builtin_expect(context->failed, 0))
        return;
    if (__builtin_expect(said == STRID_DONE, 1))
        settle_done(worker);
    else
        settle_other(worker, slot, said);
}

/* Whether an earlier run already applied the record: the table of its partition says how far each
 * vshard came. */
static bool is_replay(const struct partition *partition, const struct chunk_slot *slot)
{
    if (!partition->replays || MUTANT(MUTANT_NO_DEDUP) ||
        strid_position_compare(slot->record.position, partition->replay_to) > 0)
        return false;
    const struct directory_table *table = partition->stored->table;
    uint32_t vshard = (uint32_t)(slot->hash >> 56);
    return (table->known[vshard / 8] >> (vshard & 7) & 1) != 0 &&
           strid_position_compare(slot->record.position, table->applied[vshard]) <= 0;
}

void worker_handle_count(struct worker *worker)
{
    struct worker_counters *counters = &worker->counters;
    const struct worker_tally *tally = &worker->tally;
    worker_count(&counters->records, tally->records);
    worker_count(&counters->done, tally->done);
    worker_count(&counters->skipped, tally->skipped);
    worker_count(&counters->unrouted, tally->unrouted);
    worker_count(&counters->replayed, tally->replayed);
    worker->tally = (struct worker_tally){0};
    if (__builtin_expect(worker->retry.untold, 0))
        worker_retry_tell(worker);
}

/* Before anything else: what was merged may yet be sealed, also when the run is halted. */
static inline void pass(struct worker *worker, const struct partition *partition,
                        struct worker_progress *progress, const struct chunk_slot *slot)
{
    if (worker->run->acknowledger == NULL) {
        progress->position = slot->record.position;
        progress->any = progress->changed = true;
    } else {
        worker_applied_add(worker, partition->index, slot);
    }
}

/* Behind record `i` the store failed (false), or the part is full. */
static __attribute__((noinline)) bool end_range(struct worker *worker, struct chunk *chunk,
                                                uint32_t i)
{
    if (worker->context.failed)
        return false;
    pass(worker, worker->context.partition, &worker->progress[chunk->partition], &chunk->slots[i]);
    worker->part.next = i + 1;
    return run_stop(worker->run) != RUN_HALT;
}

/* Whether to look for what the record has to wait for: where some records wait, most need not.
 * `by_key`: whether its hash says so; that of a record without a key, or unreadable, is its
 * partition's. */
static inline bool may_have_to_wait(const struct worker *worker, const struct chunk_slot *slot,
                                    bool by_key)
{
    const struct waiting *waiting = &worker->retry.waiting;
    return waiting->count > 0 && (!by_key || waiting_may_have(waiting, slot->hash));
}

/* false: a record could not be settled, or the run is halted. */
static bool handle_records(struct worker *worker, struct chunk *chunk, uint32_t from, uint32_t to)
{
    struct run *run = worker->run;
    struct partition *partition = worker->context.partition;
    struct worker_progress *progress = &worker->progress[chunk->partition];
    const bool is_ordered = run->acknowledger == NULL;
    const bool by_key = run->definition->retry.ordering == STRID_ORDERING_KEY;
    for (uint32_t i = from; i < to; i++) {
        struct chunk_slot *slot = &chunk->slots[i];
        if (!is_ordered && i + APPLIED_AHEAD < to)
            applied_set_prefetch(&worker->applied.set, partition->index,
                                 slot[APPLIED_AHEAD].record.position);
        if (is_ordered ? is_replay(partition, slot)
                       : worker_applied_has(worker, partition->index, slot)) {
            worker->tally.replayed++;
            continue;
        }
        STRID_DASSERT(!progress->any ||
                      strid_position_compare(progress->position, slot->record.position) < 0);
        worker->tally.records++;
        if (__builtin_expect(!may_have_to_wait(worker, slot, by_key), 1) ||
            !worker_retry_park(worker, slot))
            handle(worker, slot, &worker->found[i], 0);
        if (__builtin_expect(context_ends(&worker->context), 0))
            return end_range(worker, chunk, i);
        pass(worker, partition, progress, slot);
        if (run_stop(run) == RUN_HALT)
            return false;
    }
    worker->part.next = to;
    return true;
}

bool worker_handle_range(struct worker *worker, struct chunk *chunk, uint32_t from, uint32_t to)
{
    uint32_t end = worker_part_end(worker, to);
    return handle_records(worker, chunk, from, end < from ? from : end) && worker->part.next == to;
}

/* From here to unmark() a record of the partition is in hand, from `first` on. */
static void mark(struct worker *worker, const struct partition *partition, strid_position first,
                 uint32_t flags)
{
    struct crash_slot *slot = worker->mark;
    atomic_store_explicit(&worker->hand.partition, partition->index, memory_order_relaxed);
    atomic_store_explicit(&slot->partition, partition->stored->number, memory_order_relaxed);
    crash_slot_set(slot, first);
    /* release: the watchdog that sees the flags sees the rest */
    atomic_store_explicit(&slot->flags, flags, memory_order_release);
}

static void unmark(struct worker *worker)
{
    atomic_store_explicit(&worker->mark->flags, 0, memory_order_release);
}

void worker_handle_one(struct worker *worker, struct chunk_slot *slot,
                       const struct worker_found *found, uint32_t attempt)
{
    mark(worker, worker->context.partition, slot->record.position,
         CRASH_SLOT_IN_HAND | CRASH_SLOT_WAITED);
    handle(worker, slot, found, attempt);
    unmark(worker);
}

void worker_handle_part(struct worker *worker, struct chunk *chunk)
{
    uint32_t first = worker->part.next;
    worker->context.partition = &worker->run->partitions[chunk->partition];
    worker->context.failed = false;
    mark(worker, worker->context.partition, chunk->slots[first].record.position,
         CRASH_SLOT_IN_HAND);
    worker_part_begin(worker);
    if (suspect_any(&worker->run->suspects))
        worker_suspect_handle(worker, chunk);
    else
        (void)worker_handle_range(worker, chunk, first, chunk->count);
    unmark(worker);
    worker_handle_count(worker);
}
