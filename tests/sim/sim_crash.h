/* The process ends in the midst of a step: at any call that waits, or because a handler ends it.
 * From then on nothing reaches the disk or what is outside; the calls that are under way come back,
 * and the run is thrown away. What the crash slots said at that moment is what the next run finds.
 *
 * Knows which records are in hand, and so which have to run alone from then on. One thread. */
#ifndef SIM_CRASH_H
#define SIM_CRASH_H

#include "runtime/crash_slots.h"

#include "sim_input.h"

enum { SIM_CRASH_HANDS_MAX = 16 };

struct sim_crash {
    bool rests;                                    /* the next run is drained at once */
    bool dead;                                     /* the process ended; calls come back */
    struct crash_slots_file *slots;                /* outlive runs */
    struct crash_slots_file *then;                 /* when the process ended */
    struct sim_record *hands[SIM_CRASH_HANDS_MAX]; /* records whose handlers are being called */
    uint32_t hand_count;
};

void sim_crash_init(struct sim_crash *crash);
void sim_crash_fini(struct sim_crash *crash);

/* Around each call of a handler, which has been tried `tries` times before; `settled`: it was the
 * last one of the attempt. */
void sim_crash_enter(struct sim_record *record, uint32_t partition, uint32_t tries);
void sim_crash_leave(bool settled, uint32_t tries);

/* The process ends here and now. */
void sim_crash_now(void);
/* It does at times, while an agent waits. */
void sim_crash_perhaps(void);

/* Around run_destroy() of a run that ended so, or from outside: the slots are not tidied up. */
void sim_crash_keep(void);
/* The file is gone, with the directory that it lies in. */
void sim_crash_lose(void);
void sim_crash_restore(bool power_lost);
/* A run came to its end: who neither waits nor comes again is no longer suspected. */
void sim_crash_finished(void);

/* Whether a record that ends the process may be given up by now. */
bool sim_crash_is_enough(const struct sim_record *record);

#endif
