/* Suspects: records that were in hand when the process ended uncleanly. Each is run alone: the
 * worker that meets one takes the gate, and handles its chunk when all other workers have seen the
 * gate taken and stand between two chunks. A record that ended the process CRASH_SLOTS_CRASHES_MAX
 * times while it was alone is dead-lettered and not handled.
 *
 *              met            others stand still          handler returned       block synced
 *   suspect ─────────> waiting ────────────────> alone ─────────────────> settled ───────────> gone
 *                                                  └─ the process ends: one crash more, a suspect
 *
 * A suspect that settles has proved innocent: its crashes are forgotten at once; the entry stays
 * until what the record did is durable, for until then it may be handled again. A run that is asked
 * to end before it has come to a suspect keeps it.
 *
 * Without suspects all of this is one load for each chunk. New suspects come only when a run opens.
 */
#ifndef RUNTIME_SUSPECT_H
#define RUNTIME_SUSPECT_H

#include "runtime/crash_slots.h"

struct run;
struct worker;

/* `settled` and what follows: @thread the worker that settled it. */
struct suspect {
    struct crash_suspect *entry;
    bool settled;
    uint32_t worker;
    uint64_t sequence; /* of the worker's block that has its effects */
};

struct suspects {
    struct crash_slots slots;
    struct suspect *list;
    uint32_t length;        /* constant while the run runs */
    _Atomic uint32_t count; /* those that are not gone; relaxed: a hint to look */
    _Atomic uint64_t gate;  /* turn * 2^16 + worker that has it + 1; no worker: 0 */
};

/* Opens the crash slots and says what they hold. @thread control */
strid_status suspect_open(struct run *run, strid_error *err);
/* @thread control; workers have ended, storage is still there */
void suspect_close(struct run *run);

static inline bool suspect_any(const struct suspects *suspects)
{
    return __builtin_expect(atomic_load_explicit(&suspects->count, memory_order_relaxed) != 0, 0);
}

/* All below: @thread the worker, between two chunks or in the chunk that it has the gate for. */

/* Whether the worker may take a chunk. If another one has the gate it now stands still. */
bool suspect_may_pass(struct worker *worker);
/* Takes the gate for the worker; false: another one has it, or not all stand still yet. */
bool suspect_take_gate(struct worker *worker);
void suspect_leave_gate(struct worker *worker); /* which has it */

/* NULL: the record is no suspect. `partition` as the state directory numbers it. */
struct suspect *suspect_find(struct run *run, uint32_t partition, strid_position position);
/* Whether it ended the process too often to be handled once more. */
bool suspect_is_condemned(const struct suspect *suspect);
/* Around the calls of its handlers. `settled`: what was done counts. */
void suspect_begin(struct suspect *suspect);
void suspect_end(struct worker *worker, struct suspect *suspect, bool settled);
/* It was not handled but parked: it comes again from the retry store. */
void suspect_wait(struct suspect *suspect);
/* Its effects are durable, from an earlier run. */
void suspect_drop(struct run *run, struct suspect *suspect);

/* What a condemned record's dead letter says; also a chunk slot's `fault`. */
extern const char suspect_fault[];

#endif
