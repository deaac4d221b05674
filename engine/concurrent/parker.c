#include "concurrent/parker.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint32_t parker_prepare(struct parker *parker)
{
    /* seq_cst: the ticket is taken before the flag is seen, and both before the second look for
     * work. */
    uint32_t ticket = atomic_load_explicit(&parker->events, memory_order_seq_cst);
    atomic_store_explicit(&parker->waiting, 1, memory_order_seq_cst);
    return ticket;
}

void parker_wait(struct parker *parker, uint32_t ticket, int64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = timeout_ns / 1000000000,
                               .tv_nsec = timeout_ns % 1000000000};
    /* Whatever it returns (woken, time over, number changed, signal) the caller looks for work
     * again. */
    (void)syscall(SYS_futex, &parker->events, FUTEX_WAIT_PRIVATE, ticket, &timeout, NULL, 0);
}

void parker_done(struct parker *parker)
{
    atomic_store_explicit(&parker->waiting, 0, memory_order_relaxed);
}

void parker_wake(struct parker *parker)
{
    /* seq_cst read-modify-write: a full barrier between the work made visible before and the flag
     * read after. */
    atomic_fetch_add_explicit(&parker->events, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&parker->waiting, memory_order_seq_cst) != 0)
        (void)syscall(SYS_futex, &parker->events, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
