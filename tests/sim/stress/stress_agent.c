/* A chain of agents, started and stopped again and again: whatever the first one sent before it was
 * told to stop has to come out at the end, once and in order.
 * usage: stress_agent [ROUNDS] */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "concurrent/agent.h"
#include "concurrent/ring.h"

enum { STAGES = 4, SLOTS = 8, ITEMS = 200, ROUNDS_DEFAULT = 1000 };

static const int64_t PARK_NS = INT64_C(1000000000);

struct stage {
    struct agent agent;
    struct ring *in;    /* NULL: the first, which counts */
    struct stage *next; /* NULL: the last, which checks */
    uintptr_t sent;     /* @thread agent */
    uintptr_t wrong;    /* @thread agent, read after the join */
    void *held;         /* @thread agent; found the ring full */
    _Atomic uintptr_t passed;
};

static void *next_item(struct stage *stage)
{
    if (stage->held != NULL) {
        void *item = stage->held;
        stage->held = NULL;
        return item;
    }
    if (stage->in != NULL)
        return ring_pop(stage->in);
    return stage->sent < ITEMS ? (void *)(++stage->sent) : NULL;
}

static int work(void *self)
{
    struct stage *stage = self;
    int done = 0;
    void *item = NULL;
    while (done < SLOTS && (item = next_item(stage)) != NULL) {
        if (stage->next != NULL && !ring_push(stage->next->in, item)) {
            stage->held = item;
            break;
        }
        if (stage->next != NULL)
            agent_wake(&stage->next->agent);
        uintptr_t passed = atomic_load_explicit(&stage->passed, memory_order_relaxed) + 1;
        if ((uintptr_t)item != passed)
            stage->wrong++;
        /* release: who sees the count sees what was done for it */
        atomic_store_explicit(&stage->passed, passed, memory_order_release);
        done++;
    }
    return done;
}

static uintptr_t run_round(void)
{
    struct stage *stages = memory_alloc_zeroed(STAGES * sizeof *stages);
    uintptr_t wrong = 0;
    for (int i = 0; i < STAGES; i++) {
        stages[i].in = i == 0 ? NULL : ring_create(SLOTS);
        stages[i].next = i + 1 < STAGES ? &stages[i + 1] : NULL;
        agent_init(&stages[i].agent, "stage", work, &stages[i], PARK_NS);
    }
    strid_error err = STRID_ERROR_INIT;
    for (int i = STAGES - 1; i >= 0; i--)
        if (agent_start(&stages[i].agent, &err) != STRID_OK)
            abort();
    /* in the order of the chain, each when all that was sent has passed it */
    for (int i = 0; i < STAGES; i++) {
        while (atomic_load_explicit(&stages[i].passed, memory_order_acquire) < ITEMS) {
            for (int j = i; j < STAGES; j++)
                agent_wake(&stages[j].agent); /* one that found the next ring full */
            sched_yield();
        }
        agent_stop(&stages[i].agent);
    }
    for (int i = 0; i < STAGES; i++) {
        agent_join(&stages[i].agent);
        wrong += stages[i].wrong + (atomic_load(&stages[i].passed) == ITEMS ? 0 : 1);
        if (stages[i].in != NULL)
            ring_destroy(stages[i].in);
    }
    memory_free(stages);
    return wrong;
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    uintptr_t wrong = 0;
    for (unsigned long i = 0; i < rounds; i++)
        wrong += run_round();
    printf("%lu rounds, %llu wrong\n", rounds, (unsigned long long)wrong);
    return wrong == 0 ? 0 : 1;
}
