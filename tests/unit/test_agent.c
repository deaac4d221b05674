#include <criterion/criterion.h>

#include <signal.h>
#include <string.h>

#include "concurrent/agent.h"
#include "support/support.h"

static const int64_t LONG_NS = INT64_C(60000000000);

struct counting {
    struct agent agent;
    _Atomic int pending; /* units of work that wait */
    _Atomic int done;
    char name[AGENT_NAME_MAX];
    _Atomic bool signals_blocked;
    int expected;
};

static int work(void *self)
{
    struct counting *counting = self;
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    (void)pthread_getname_np(pthread_self(), counting->name, sizeof counting->name);
    counting->signals_blocked = sigismember(&mask, SIGTERM) == 1;
    int taken = counting->pending > 0 ? 1 : 0;
    counting->pending -= taken;
    counting->done += taken;
    return taken;
}

static bool is_done(void *user)
{
    struct counting *counting = user;
    return counting->done >= counting->expected;
}

static bool has_parked(void *user) { return ((struct counting *)user)->agent.parks > 0; }

Test(agent, pumped_by_hand_needs_no_thread)
{
    struct counting counting = {.pending = 2};
    agent_init(&counting.agent, "by-hand", work, &counting, LONG_NS);
    cr_assert_eq(agent_pump(&counting.agent), 1);
    cr_assert_eq(agent_pump(&counting.agent), 1);
    cr_assert_eq(agent_pump(&counting.agent), 0);
    cr_assert_not(counting.agent.started);
    agent_join(&counting.agent); /* nothing to wait for */
}

Test(agent, works_off_what_is_there_then_parks_and_wakes_for_more)
{
    struct counting counting = {.pending = 100, .expected = 100};
    strid_error err = STRID_ERROR_INIT;
    agent_init(&counting.agent, "fifteen-letters", work, &counting, LONG_NS);
    STRID_CHECK_OK(agent_start(&counting.agent, &err), err);
    cr_assert(support_wait(is_done, &counting, 10000));
    cr_assert(support_wait(has_parked, &counting, 10000));
    counting.expected = 101;
    counting.pending++;
    agent_wake(&counting.agent);
    cr_assert(support_wait(is_done, &counting, 10000), "parked agents wake for work");
    agent_stop(&counting.agent);
    agent_join(&counting.agent);
    cr_assert_str_eq(counting.name, "fifteen-letters");
    cr_assert(counting.signals_blocked, "signals belong to the host's threads");
}

Test(agent, stop_wakes_a_parked_agent_and_may_come_twice)
{
    struct counting counting = {0};
    strid_error err = STRID_ERROR_INIT;
    agent_init(&counting.agent, "parked", work, &counting, LONG_NS);
    STRID_CHECK_OK(agent_start(&counting.agent, &err), err);
    cr_assert(support_wait(has_parked, &counting, 10000));
    agent_stop(&counting.agent);
    agent_stop(&counting.agent);
    agent_join(&counting.agent);
    agent_join(&counting.agent);
    cr_assert_not(counting.agent.started);
}

Test(agent, start_leaves_the_callers_signal_mask)
{
    struct counting counting = {0};
    strid_error err = STRID_ERROR_INIT;
    sigset_t mask;
    agent_init(&counting.agent, "mask", work, &counting, LONG_NS);
    STRID_CHECK_OK(agent_start(&counting.agent, &err), err);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    cr_assert_eq(sigismember(&mask, SIGTERM), 0);
    agent_stop(&counting.agent);
    agent_join(&counting.agent);
}
