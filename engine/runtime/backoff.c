#include "runtime/backoff.h"

#include "base/assert.h"

uint64_t backoff_random_next(struct backoff_random *random)
{
    uint64_t mixed = random->state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

/* min * 2^attempt, held at max: a shift could overflow. */
static int64_t ceiling_ms(const struct backoff *backoff, uint32_t attempt)
{
    int64_t ceiling = backoff->min_ms;
    for (uint32_t i = 0; i < attempt; i++) {
        if (ceiling > backoff->max_ms / 2)
            return backoff->max_ms;
        ceiling *= 2;
    }
    return ceiling;
}

int64_t backoff_delay_ms(const struct backoff *backoff, uint32_t attempt,
                         struct backoff_random *random)
{
    STRID_ASSERT(attempt > 0);
    STRID_ASSERT(backoff->step_count <= BACKOFF_STEPS_MAX);
    if (backoff->step_count > 0) {
        uint32_t last = backoff->step_count - 1;
        return backoff->steps_ms[attempt - 1 < last ? attempt - 1 : last];
    }
    STRID_ASSERT(backoff->min_ms > 0);
    STRID_ASSERT(backoff->min_ms <= backoff->max_ms);
    uint64_t span = (uint64_t)(ceiling_ms(backoff, attempt) - backoff->min_ms);
    /* span < 2^63, so that the sum does not overflow */
    return backoff->min_ms + (int64_t)(backoff_random_next(random) % (span + 1));
}

int64_t backoff_longest_ms(const struct backoff *backoff)
{
    if (backoff->step_count == 0)
        return backoff->max_ms;
    int64_t longest = 0;
    for (uint32_t i = 0; i < backoff->step_count; i++)
        if (backoff->steps_ms[i] > longest)
            longest = backoff->steps_ms[i];
    return longest;
}
