#include "runtime/suspect.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/crash_point.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/mutant.h"
#include "runtime/storage.h"
#include "runtime/worker.h"

enum {
    GATE_TURN = 1 << 16,
    PATH_BYTES = 4096,
    MISSED_MAX = 32 /* ends of runs that may leave out a suspect which no position says is over */
};

const char suspect_fault[] = "crashed the process 3 times";
_Static_assert(CRASH_SLOTS_CRASHES_MAX == 3, "as the text says");

/* Everything before the low position is durable; what waits for another attempt is behind it too,
 * and a source without order has none that says so. */
static bool is_over(const struct run *run, const struct partition *partition,
                    const struct crash_suspect *entry)
{
    const struct directory_partition *stored = partition->stored;
    strid_position position = {entry->high, entry->low};
    return (run->source_ops->flags & STRID_SOURCE_UNORDERED) == 0 &&
           (crash_suspect_state(entry) & CRASH_SUSPECT_WAITED) == 0 && stored->has_low &&
           strid_position_compare(position, stored->low) < 0;
}

static void tell(const struct run *run, const struct partition *partition,
                 const struct crash_suspect *entry)
{
    uint32_t crashes = crash_suspect_crashes(entry);
    char history[96] = "it is handled while nothing else is";
    if (crashes >= CRASH_SLOTS_CRASHES_MAX)
        (void)snprintf(history, sizeof history, "it %s, and is dead-lettered", suspect_fault);
    else if (crashes > 0)
        (void)snprintf(history, sizeof history,
                       "alone it ended the process %" PRIu32 " of %d times", crashes,
                       CRASH_SLOTS_CRASHES_MAX);
    log_warn(
        run->log, "suspect",
        "%s partition %u position %" PRIu64 "-%" PRIu64 " was in hand when the process ended: %s",
        partition->origin.topic, partition->origin.partition, entry->high, entry->low, history);
}

/* Where the slots lie: beside the state, if that outlives the process. */
static const char *path_of(const struct run *run, char *out, size_t size)
{
    const char *place = NULL;
    const struct store_ops *ops = store_find(run->directory->url, &place);
    if (run->options.store_ops != NULL || ops == NULL || (ops->flags & STORE_DURABLE) == 0)
        return NULL;
    int len = snprintf(out, size, "%s/crash-slots", place);
    return len > 0 && (size_t)len < size ? out : NULL;
}

strid_status suspect_open(struct run *run, strid_error *err)
{
    struct suspects *suspects = &run->suspects;
    char path[PATH_BYTES];
    STRID_TRY(crash_slots_open(&suspects->slots, path_of(run, path, sizeof path),
                               run->options.crash_memory, run->directory->id, run->log, err));
    suspects->list = memory_alloc_zeroed(CRASH_SLOTS_SUSPECTS * sizeof *suspects->list);
    for (uint32_t i = 0; i < CRASH_SLOTS_SUSPECTS; i++) {
        struct crash_suspect *entry = &suspects->slots.file->suspects[i];
        const struct partition *partition = run_partition(run, entry->partition);
        if (crash_suspect_state(entry) == 0 || partition == NULL)
            continue;
        if (is_over(run, partition, entry)) {
            crash_suspect_set(entry, 0);
            continue;
        }
        tell(run, partition, entry);
        suspects->list[suspects->length++].entry = entry;
    }
    atomic_store_explicit(&suspects->count, suspects->length, memory_order_relaxed);
    return STRID_OK;
}

void suspect_drop(struct run *run, struct suspect *suspect)
{
    if (crash_suspect_state(suspect->entry) == 0)
        return;
    crash_suspect_set(suspect->entry, 0);
    (void)atomic_fetch_sub_explicit(&run->suspects.count, 1, memory_order_relaxed);
}

static void drop_durable(struct run *run, uint32_t worker)
{
    struct suspects *suspects = &run->suspects;
    for (uint32_t i = 0; i < suspects->length; i++) {
        struct suspect *suspect = &suspects->list[i];
        if (suspect->settled && suspect->worker == worker &&
            storage_synced_sequence(run->storage, worker) >= suspect->sequence)
            suspect_drop(run, suspect);
    }
}

/* Whether the low position will say that the suspect is over. Not where a source has no order, nor
 * of a partition that it no longer has. */
static bool has_place(const struct run *run, const struct crash_suspect *entry)
{
    const struct partition *partition = run_partition(run, entry->partition);
    return (run->source_ops->flags & STRID_SOURCE_UNORDERED) == 0 &&
           partition->index < run->partition_count;
}

/* Of a suspect that is left when a run has come to its end, and does not wait. A run that ended by
 * itself has read all there is: who never ended the process is the halves of two, or what the
 * source no longer has. One that was asked to end may not have come to it. */
static bool is_gone(const struct crash_suspect *entry, bool by_itself)
{
    if ((by_itself || MUTANT(MUTANT_SUSPECT_DRAINED)) && crash_suspect_crashes(entry) == 0)
        return true;
    return entry->missed > MISSED_MAX;
}

/* A run came to its end. Where nothing waits, who waited is settled, or was not durable and is read
 * again: as of all others, its place says which. */
static void look_at_left(struct run *run, struct suspect *suspect, bool waits, bool by_itself)
{
    struct crash_suspect *entry = suspect->entry;
    uint32_t state = crash_suspect_state(entry);
    bool waited = (state & CRASH_SUSPECT_WAITED) != 0;
    if (state == 0 || (waited && waits))
        return;
    if (!has_place(run, entry))
        entry->missed++;
    if (is_gone(entry, by_itself))
        suspect_drop(run, suspect);
    else
        crash_suspect_set(entry, state & ~(uint32_t)CRASH_SUSPECT_WAITED);
}

void suspect_close(struct run *run)
{
    struct suspects *suspects = &run->suspects;
    if (suspects->slots.file == NULL)
        return;
    for (uint32_t w = 0; run->storage != NULL && w < run->worker_count; w++)
        drop_durable(run, w);
    bool finished = atomic_load_explicit(&run->finished, memory_order_acquire), waits = false;
    bool by_itself = run_stop(run) == RUN_CONTINUE && run->gap.status == STRID_OK;
    for (uint32_t w = 0; run->workers != NULL && w < run->worker_count; w++)
        waits = waits || atomic_load_explicit(&run->workers[w].retry.open_records,
                                              memory_order_relaxed) != 0;
    if (MUTANT(MUTANT_SUSPECT_FORGOTTEN))
        waits = false;
    for (uint32_t i = 0; finished && i < suspects->length; i++)
        look_at_left(run, &suspects->list[i], waits, by_itself);
    crash_slots_close(&suspects->slots);
    memory_free(suspects->list);
    *suspects = (struct suspects){0};
}

bool suspect_may_pass(struct worker *worker)
{
    struct run *run = worker->run;
    drop_durable(run, worker->index);
    /* acquire: what the worker that left the gate did comes before what is done now */
    uint64_t gate = atomic_load_explicit(&run->suspects.gate, memory_order_acquire);
    uint32_t holder = gate % GATE_TURN;
    if (holder == 0 || holder == worker->index + 1)
        return true;
    if (atomic_load_explicit(&worker->gate_seen, memory_order_relaxed) != gate) {
        /* release: pairs with the acquire of whoever has the gate */
        atomic_store_explicit(&worker->gate_seen, gate, memory_order_release);
        agent_wake(&run->workers[holder - 1].agent);
    }
    return false;
}

bool suspect_take_gate(struct worker *worker)
{
    struct run *run = worker->run;
    uint64_t gate = atomic_load_explicit(&run->suspects.gate, memory_order_acquire);
    if (gate % GATE_TURN == 0) {
        uint64_t mine = gate + GATE_TURN + worker->index + 1;
        if (!atomic_compare_exchange_strong_explicit(&run->suspects.gate, &gate, mine,
                                                     memory_order_acq_rel, memory_order_relaxed))
            return false;
        gate = mine;
        worker->has_gate = true;
        for (uint32_t w = 0; w < run->worker_count; w++)
            if (w != worker->index)
                agent_wake(&run->workers[w].agent);
    }
    if (gate % GATE_TURN != worker->index + 1)
        return false;
    worker->wants_gate = false;
    for (uint32_t w = 0; w < run->worker_count; w++)
        if (w != worker->index && !MUTANT(MUTANT_NOT_ALONE) &&
            atomic_load_explicit(&run->workers[w].gate_seen, memory_order_acquire) != gate)
            worker->wants_gate = true;
    return !worker->wants_gate;
}

void suspect_leave_gate(struct worker *worker)
{
    struct run *run = worker->run;
    uint64_t gate = atomic_load_explicit(&run->suspects.gate, memory_order_relaxed);
    STRID_ASSERT(gate % GATE_TURN == worker->index + 1);
    worker->has_gate = false;
    atomic_store_explicit(&run->suspects.gate, gate - gate % GATE_TURN, memory_order_release);
    for (uint32_t w = 0; w < run->worker_count; w++)
        if (w != worker->index)
            agent_wake(&run->workers[w].agent);
}

struct suspect *suspect_find(struct run *run, uint32_t partition, strid_position position)
{
    struct suspects *suspects = &run->suspects;
    for (uint32_t i = 0; i < suspects->length; i++) {
        struct suspect *suspect = &suspects->list[i];
        const struct crash_suspect *entry = suspect->entry;
        if (entry->low == position.low && entry->high == position.high &&
            entry->partition == partition && crash_suspect_state(entry) != 0)
            return suspect;
    }
    return NULL;
}

bool suspect_is_condemned(const struct suspect *suspect)
{
    return crash_suspect_crashes(suspect->entry) >= CRASH_SLOTS_CRASHES_MAX;
}

void suspect_begin(struct suspect *suspect)
{
    uint32_t state = crash_suspect_state(suspect->entry);
    STRID_ASSERT((state & CRASH_SUSPECT_ALONE) == 0);
    crash_suspect_set(suspect->entry, state | CRASH_SUSPECT_ALONE);
    CRASH_POINT("suspect_alone");
}

void suspect_wait(struct suspect *suspect)
{
    crash_suspect_set(suspect->entry, crash_suspect_state(suspect->entry) | CRASH_SUSPECT_WAITED);
}

void suspect_end(struct worker *worker, struct suspect *suspect, bool settled)
{
    uint32_t state = crash_suspect_state(suspect->entry) & ~(uint32_t)CRASH_SUSPECT_ALONE;
    if (settled && state / CRASH_SUSPECT_CRASH < CRASH_SLOTS_CRASHES_MAX)
        state %= CRASH_SUSPECT_CRASH;
    suspect->entry->missed = 0; /* it came */
    crash_suspect_set(suspect->entry, state);
    if (settled) {
        suspect->worker = worker->index;
        suspect->sequence = worker->sequence;
        suspect->settled = true;
        CRASH_POINT("suspect_settled");
    }
}
