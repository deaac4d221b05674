/* Threads of the host that say outcomes later: at any step after the handler asked for a token,
 * also before it has returned; too late; a second time; in a run that knows nothing of the token.
 * Knows which answer each completion has to get. Time does not pass the moment at which an outcome
 * that is still to be said would be too late: what a record does is worked out beforehand.
 *
 * One thread. */
#ifndef SIM_DEFERRED_H
#define SIM_DEFERRED_H

#include "runtime/deferral.h"

#include "sim_input.h"

enum { SIM_COMPLETERS = 2 };

enum sim_token_state {
    SIM_TOKEN_OPEN = 0,  /* its outcome is to be said */
    SIM_TOKEN_NEVER,     /* not in time */
    SIM_TOKEN_WITHDRAWN, /* when the worker comes to it: nobody stands by it */
    SIM_TOKEN_STALE      /* it holds no more */
};

struct sim_token {
    strid_token token;
    struct sim_record *record;
    uint32_t group; /* what waits for it: a key, or a partition; UINT32_MAX: nothing */
    strid_outcome outcome;
    int64_t late_ns;
    enum sim_token_state state;
};

struct sim_deferred {
    struct deferrals *deferrals; /* outlive runs */
    struct strid_completer *completers[SIM_COMPLETERS];
    struct sim_token *tokens;
    uint32_t count, capacity;
    uint32_t *open; /* per group: tokens whose outcome is to come */
    uint32_t rate;  /* completions come once in so many steps */
    uint32_t most;  /* up to so many at a time */
    int64_t timeout_ms;
    uint32_t drain_steps; /* since the run was asked to drain */
};

void sim_deferred_init(struct sim_deferred *deferred, const struct sim_input *input);
void sim_deferred_fini(struct sim_deferred *deferred);

/* The handler asked for a token: `outcome` is to be said. */
void sim_deferred_add(const strid_token *token, struct sim_record *record, uint32_t partition,
                      strid_outcome outcome, enum sim_token_state state);
/* A handler is called for the record: nothing that it has to wait for is open. */
void sim_deferred_check_call(const struct sim_record *record, uint32_t partition);

/* After each step: some completions. */
void sim_deferred_step(void);
/* The clock is about to be that. */
void sim_deferred_before(int64_t now_ns);
/* A run ended: its tokens hold no more. `settled`: it came to its end by itself, or was drained,
 * and waited for all of them. */
void sim_deferred_end_run(bool settled);

#endif
