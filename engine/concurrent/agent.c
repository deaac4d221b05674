#include "concurrent/agent.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"

/* On two cores a spinning thread takes the core from one that has work: look again a few times,
 * then park. */
enum { AGENT_LOOKS_BEFORE_PARKING = 4 };

void agent_init(struct agent *agent, const char *name, int (*do_work)(void *self), void *self,
                int64_t park_ns)
{
    STRID_ASSERT(strlen(name) < AGENT_NAME_MAX && park_ns > 0);
    *agent = (struct agent){.do_work = do_work, .self = self, .park_ns = park_ns};
    (void)snprintf(agent->name, sizeof agent->name, "%s", name);
}

static void park(struct agent *agent)
{
    uint32_t ticket = parker_prepare(&agent->parker);
    if (agent->do_work(agent->self) == 0 &&
        !atomic_load_explicit(&agent->stop, memory_order_acquire)) {
        atomic_fetch_add_explicit(&agent->parks, 1, memory_order_relaxed);
        parker_wait(&agent->parker, ticket, agent->park_ns);
    }
    parker_done(&agent->parker);
}

static void *agent_main(void *arg)
{
    struct agent *agent = arg;
    (void)pthread_setname_np(pthread_self(), agent->name);
    int looks = 0;
    while (!atomic_load_explicit(&agent->stop, memory_order_acquire)) {
        if (agent->do_work(agent->self) > 0)
            looks = 0;
        else if (++looks >= AGENT_LOOKS_BEFORE_PARKING)
            park(agent);
    }
    return NULL;
}

strid_status agent_start(struct agent *agent, strid_error *err)
{
    STRID_ASSERT(!agent->started);
    /* Signals belong to the host's threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&agent->thread, NULL, agent_main, agent);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0)
        return error_set_errno(err, failed, "agent", "thread %s could not be started", agent->name);
    agent->started = true;
    return STRID_OK;
}

void agent_stop(struct agent *agent)
{
    atomic_store_explicit(&agent->stop, true,
                          memory_order_release); /* pairs with the load in agent_main */
    agent_wake(agent);
}

void agent_join(struct agent *agent)
{
    if (!agent->started)
        return;
    pthread_join(agent->thread, NULL);
    agent->started = false;
}

strid_status agent_start_all(struct agent **agents, uint32_t count, strid_error *err)
{
    strid_status status = STRID_OK;
    for (uint32_t i = count; status == STRID_OK && i > 0; i--)
        status = agent_start(agents[i - 1], err);
    if (status != STRID_OK)
        agent_join_all(agents, count);
    return status;
}

void agent_join_all(struct agent **agents, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        agent_stop(agents[i]);
    for (uint32_t i = 0; i < count; i++)
        agent_join(agents[i]);
}
