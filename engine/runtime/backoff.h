/* How long a failed record waits for its next attempt: exponential with full jitter, or a fixed
 * list. No clock and no random source of its own: both come from the caller, so that a run in the
 * simulator repeats exactly. @thread any @locks none */
#ifndef RUNTIME_BACKOFF_H
#define RUNTIME_BACKOFF_H

#include <stdint.h>

enum { BACKOFF_STEPS_MAX = 32 };

struct backoff {
    int64_t min_ms, max_ms; /* 0 < min <= max; used where there is no list */
    uint32_t step_count;    /* of the list; beyond its end the last step counts */
    int64_t steps_ms[BACKOFF_STEPS_MAX];
};

/* A sequence of numbers from a seed (SplitMix64): one owner. */
struct backoff_random {
    uint64_t state;
};

uint64_t backoff_random_next(struct backoff_random *random);

/* The wait behind the `attempt`-th failed attempt (from 1). Exponential: anything from min to
 * min * 2^attempt, never beyond max; the list: exactly its entry. */
int64_t backoff_delay_ms(const struct backoff *backoff, uint32_t attempt,
                         struct backoff_random *random);

/* The longest wait there can be: what a due time read from the store may lie ahead at most, however
 * the clock was set meanwhile. */
int64_t backoff_longest_ms(const struct backoff *backoff);

#endif
