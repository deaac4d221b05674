/* Where a thread sleeps until another one has work for it: an event count on a futex.
 *
 * The sleeper:  ticket = parker_prepare(); look for work again; none -> parker_wait(ticket);
 * parker_done() The waker:    make the work visible (push); parker_wake()
 *
 * No wake-up is lost: wake changes `events` after the work became visible. Either the sleeper took
 * its ticket before that, and the futex refuses to sleep on the old number; or after it, and then
 * its second look sees the work. */
#ifndef CONCURRENT_PARKER_H
#define CONCURRENT_PARKER_H

#include <stdatomic.h>
#include <stdint.h>

struct parker {
    _Atomic uint32_t events;  /* @thread any; counts wake-ups */
    _Atomic uint32_t waiting; /* @thread owner writes; 1 from prepare to done: only then a wake
                                 needs a system call */
};

uint32_t parker_prepare(struct parker *parker);                               /* @thread owner */
void parker_wait(struct parker *parker, uint32_t ticket, int64_t timeout_ns); /* @thread owner */
void parker_done(struct parker *parker);                                      /* @thread owner */
void parker_wake(struct parker *parker);                                      /* @thread any */

#endif
