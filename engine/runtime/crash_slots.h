/* Crash slots: which records were in hand when the process ended without saying so. A file of fixed
 * size beside the state, mapped into memory, so that a few stores before each call of a handler are
 * enough: they survive any end of the process (after a loss of power the file may hold anything,
 * and is checked).
 *
 *   header       magic, version, id of the state directory, checksum
 *   slots[256]   one per worker, a cache line each: the record in hand
 *   suspects[]   records that were in hand at an unclean end, and how often each of them then ended
 *                the process while it ran alone
 *
 * A record that is in a slot when the file is opened becomes a suspect. A suspect runs alone
 * (runtime/suspect.h), marked as such before it starts; one that is found so marked has ended the
 * process once more.
 *
 * Slots: @thread the worker; the watchdog reads. Entries of suspects: @thread the worker that
 * handles the record. Opening and closing: @thread control. A store that a crash cut in two (the
 * halves of a position) names a record that was not in hand: it runs alone once, no harm. */
#ifndef RUNTIME_CRASH_SLOTS_H
#define RUNTIME_CRASH_SLOTS_H

#include <stdatomic.h>

#include <strid/error.h>
#include <strid/record.h>

#include "base/log.h"

enum {
    CRASH_SLOTS_VERSION = 1,
    CRASH_SLOTS_WORKERS = 256,
    CRASH_SLOTS_SUSPECTS = 256,
    CRASH_SLOTS_ID_BYTES = 16,
    CRASH_SLOTS_CRASHES_MAX = 3, /* so many alone: the record is not handled any more */
    CRASH_SLOT_IN_HAND = 1,      /* flags of a slot; 0: nothing is */
    CRASH_SLOT_WAITED = 2,       /* the record came from the retry store, not from the source */
    CRASH_SLOT_FLAGS = 3,
    CRASH_SUSPECT_KNOWN = 1, /* flags of a suspect; 0: the entry is free */
    CRASH_SUSPECT_ALONE = 2, /* its handlers are running, nobody else's */
    CRASH_SUSPECT_WAITED = 4,
    CRASH_SUSPECT_FLAGS = 7,
    CRASH_SUSPECT_CRASH = 256 /* state: flags + number of crashes * this */
};

struct crash_slot {
    _Alignas(64) _Atomic uint64_t high;
    _Atomic uint64_t low;
    _Atomic uint32_t partition; /* as the state directory numbers it */
    _Atomic uint32_t flags;     /* written last when a record comes in hand, first when it goes */
};

/* Flags and count are one word, so that a crash finds both or neither. */
struct crash_suspect {
    _Alignas(64) uint64_t high;
    uint64_t low;
    uint32_t partition;
    _Atomic uint32_t state;
    uint32_t missed; /* runs that came to their end without it since it came last */
};

struct crash_slots_file {
    uint8_t magic[8];
    uint32_t version, size;
    uint8_t directory[CRASH_SLOTS_ID_BYTES];
    uint32_t crc; /* CRC-32C of what is before it */
    struct crash_slot slots[CRASH_SLOTS_WORKERS];
    struct crash_suspect suspects[CRASH_SLOTS_SUSPECTS];
};
_Static_assert(sizeof(struct crash_slot) == 64, "a slot is a cache line");
_Static_assert(sizeof(struct crash_slots_file) == 64 * (1 + 256 + 256), "the layout of version 1");

struct crash_slots {
    struct crash_slots_file *file;
    bool mapped, borrowed;
};

/* Maps the file, made where it is missing, and turns what it says into suspects. What is damaged or
 * belongs to another directory is told, ignored and made anew. `path` NULL: nothing outlives the
 * process; then `memory` is used where it is given (the tests' and the simulator's, zeroed or as an
 * earlier run left it). */
strid_status crash_slots_open(struct crash_slots *slots, const char *path,
                              struct crash_slots_file *memory, const uint8_t *directory,
                              const struct log *log, strid_error *err);
/* No record is in hand. A zeroed struct is closed. */
void crash_slots_close(struct crash_slots *slots);

static inline void crash_slot_set(struct crash_slot *slot, strid_position position)
{
    /* relaxed: a crash sees the stores of a thread in their order, and the handler's call, which
     * the compiler cannot look into, comes behind them */
    atomic_store_explicit(&slot->high, position.high, memory_order_relaxed);
    atomic_store_explicit(&slot->low, position.low, memory_order_relaxed);
}

static inline uint32_t crash_suspect_state(const struct crash_suspect *suspect)
{
    return atomic_load_explicit(&suspect->state, memory_order_relaxed);
}

static inline void crash_suspect_set(struct crash_suspect *suspect, uint32_t state)
{
    atomic_store_explicit(&suspect->state, state, memory_order_release);
}

static inline uint32_t crash_suspect_crashes(const struct crash_suspect *suspect)
{
    return crash_suspect_state(suspect) / CRASH_SUSPECT_CRASH;
}

#endif
