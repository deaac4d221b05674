#include "sleepers.h"

#include <criterion/criterion.h>

enum { STEP_NS = 1000 }; /* no look takes no time */

void sleepers_init(struct sleepers *sleepers, struct runtime_case *at, uint64_t seed)
{
    struct agent *agents[SLEEPERS_MAX];
    *sleepers = (struct sleepers){.at = at, .random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1};
    sleepers->count = run_agents(at->run, agents, SLEEPERS_MAX);
    cr_assert_leq(sleepers->count, SLEEPERS_MAX);
    for (uint32_t i = 0; i < sleepers->count; i++)
        sleepers->list[i].agent = agents[i];
}

uint32_t sleepers_draw(struct sleepers *sleepers, uint32_t below)
{
    uint64_t random = sleepers->random; /* xorshift */
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    sleepers->random = random;
    return (uint32_t)(random >> 32) % below;
}

static bool is_woken(const struct sleeper *sleeper)
{
    return atomic_load(&sleeper->agent->parker.events) != sleeper->ticket;
}

static bool is_awake(const struct sleepers *sleepers, const struct sleeper *sleeper)
{
    return !sleeper->asleep || is_woken(sleeper) || sleepers->at->now_ns >= sleeper->until_ns;
}

/* As `park` of an agent: the ticket is taken before the look that finds nothing. */
static void look(struct sleepers *sleepers, struct sleeper *sleeper)
{
    bool overslept = sleeper->asleep && sleeper->rests && !is_woken(sleeper);
    sleeper->ticket = atomic_load(&sleeper->agent->parker.events);
    int work = agent_pump(sleeper->agent);
    if (overslept && work > 0)
        sleepers->late = sleeper->agent->name;
    sleeper->asleep = work == 0;
    sleeper->rests = sleeper->agent->park_ns == AGENT_REST_NS;
    sleeper->until_ns = sleepers->at->now_ns + sleeper->agent->park_ns;
    sleepers->parks += work == 0;
    sleepers->at->now_ns += STEP_NS;
}

bool sleepers_step(struct sleepers *sleepers)
{
    uint32_t first = sleepers_draw(sleepers, sleepers->count);
    for (uint32_t i = 0; i < sleepers->count; i++) {
        struct sleeper *sleeper = &sleepers->list[(first + i) % sleepers->count];
        if (!is_awake(sleepers, sleeper))
            continue;
        look(sleepers, sleeper);
        return true;
    }
    return false;
}

void sleepers_pass(struct sleepers *sleepers, int64_t until_ns)
{
    for (uint32_t i = 0; i < sleepers->count; i++)
        if (sleepers->list[i].until_ns < until_ns)
            until_ns = sleepers->list[i].until_ns;
    if (sleepers->at->now_ns < until_ns)
        sleepers->at->now_ns = until_ns;
}

void sleepers_run(struct sleepers *sleepers, int64_t until_ns)
{
    while (sleepers->at->now_ns < until_ns && !run_failed(sleepers->at->run))
        if (!sleepers_step(sleepers))
            sleepers_pass(sleepers, until_ns);
}

bool sleepers_finish(struct sleepers *sleepers, int64_t most_ns)
{
    struct runtime_case *at = sleepers->at;
    const int64_t until_ns = at->now_ns + most_ns;
    while (at->now_ns < until_ns && !run_failed(at->run)) {
        if (atomic_load(&at->run->finished))
            return true;
        if (!sleepers_step(sleepers))
            sleepers_pass(sleepers, until_ns);
    }
    return false;
}
