/* The agents of a run as their threads run them, without threads: who has nothing to do sleeps for
 * as long as it said, until it is woken. Which of those that are awake goes on is drawn, and when
 * all sleep the clock goes on to the first that wakes by itself. An agent that finds work only
 * behind a whole rest (AGENT_REST_NS) was not woken by whoever brought it: a lost wake-up. */
#ifndef UNIT_SLEEPERS_H
#define UNIT_SLEEPERS_H

#include "concurrent/agent.h"
#include "runtime_case.h"

enum { SLEEPERS_MAX = 32 };

struct sleeper {
    struct agent *agent;
    uint32_t ticket;
    bool asleep, rests;
    int64_t until_ns;
};

struct sleepers {
    struct runtime_case *at;
    struct sleeper list[SLEEPERS_MAX];
    uint32_t count;
    uint64_t random; /* never 0 */
    uint32_t parks;
    const char *late; /* whom nobody woke; NULL: there was none */
};

void sleepers_init(struct sleepers *sleepers, struct runtime_case *at, uint64_t seed);
uint32_t sleepers_draw(struct sleepers *sleepers, uint32_t below);
/* Once somebody; false: all sleep. */
bool sleepers_step(struct sleepers *sleepers);
/* On to when the first wakes by itself, or `until_ns`. */
void sleepers_pass(struct sleepers *sleepers, int64_t until_ns);
/* Until that time. */
void sleepers_run(struct sleepers *sleepers, int64_t until_ns);
/* Until the run has finished or failed, at most so long; whether it finished. */
bool sleepers_finish(struct sleepers *sleepers, int64_t most_ns);

#endif
