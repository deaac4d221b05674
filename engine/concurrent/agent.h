/* A role of the engine: a struct with do_work() -> amount of work done, and an idle strategy.
 *
 * Dedicated: agent_start() gives it a thread that calls do_work until agent_stop(); without work it
 * looks again a few times and then parks until it is woken or `park_ns` is over. Invoker: nobody
 * starts it, one caller pumps do_work of all agents; that is how the simulator and the tests run
 * the engine. do_work therefore never blocks on another agent.
 *
 * Sleep and wake. Whoever gives an agent work first makes it visible (pushes into its ring, stores
 * with release what it looks at), then calls agent_wake(). The agent takes its ticket, calls
 * do_work once more, and only when that found nothing sleeps on the ticket (parker.h): a wake-up
 * that comes behind the ticket ends the sleep or forbids it, and what was visible before the ticket
 * do_work finds. So none is lost, whatever runs in between.
 *
 * An agent waits for work that somebody brings, who wakes it; for a time; or for something that
 * nobody tells it of. For the last two do_work says with each look in `park_ns`, which nobody else
 * writes, when to look next. Times become a length of sleep at each look, so a wall clock that is
 * set while an agent sleeps makes it late by no more than AGENT_REST_NS. Wake-ups may be shared
 * (some chunks, one call), as long as whoever shares them sends the last one before it sleeps, and
 * in time. agent_stop() sets `stop`, then wakes: it is looked at behind the ticket.
 * tests/unit/sleepers.h holds agents to this. */
#ifndef CONCURRENT_AGENT_H
#define CONCURRENT_AGENT_H

#include <pthread.h>
#include <stdbool.h>

#include "concurrent/parker.h"
#include <strid/error.h>

enum { AGENT_NAME_MAX = 16 };

/* How long an agent sleeps to which only others bring work: a net under the wake-ups. */
#define AGENT_REST_NS INT64_C(1000000000)

struct agent {
    char name[AGENT_NAME_MAX]; /* at most 15 characters: also the thread's name */
    int (*do_work)(void *self);
    void *self;
    int64_t park_ns; /* longest sleep; do_work sets it by what it will have to look at next */
    pthread_t thread;
    bool started;
    _Atomic bool stop;
    struct parker parker;
    _Atomic uint64_t parks; /* how often it slept */
};

void agent_init(struct agent *agent, const char *name, int (*do_work)(void *self), void *self,
                int64_t park_ns);
strid_status agent_start(struct agent *agent, strid_error *err); /* @thread control */
void agent_stop(struct agent *agent);                            /* @thread any; does not wait */
void agent_join(struct agent *agent); /* @thread control; after agent_stop */

/* @thread control. From the last one on, so that who hands on to others is started behind them; on
 * failure those that were started have ended again. */
strid_status agent_start_all(struct agent **agents, uint32_t count, strid_error *err);
/* @thread control. Tells all to stop, then waits for them. */
void agent_join_all(struct agent **agents, uint32_t count);

static inline void agent_wake(struct agent *agent) { parker_wake(&agent->parker); }
static inline int agent_pump(struct agent *agent) { return agent->do_work(agent->self); }

#endif
