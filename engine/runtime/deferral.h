/* Deferrals: what threads of the host and workers share about records whose outcome comes later.
 * They belong to the pipeline and outlive its runs, so that a token of an earlier run is told to be
 * stale and never leads to memory that is gone.
 *
 *   handler            strid_defer        FREE ──> OPEN           worker
 *   host's thread      strid_complete     OPEN ──> COMPLETED      decides who comes first
 *   worker             settles            COMPLETED ──> FREE, generation + 1
 *   worker             timed out, withdrawn, run ended:  OPEN or COMPLETED ──> FREE, generation + 1
 *
 * A place's generation, state and outcome are one word. A completer has a ring to each worker; what
 * it pushes is a place to look at, no more, so that one too many does no harm. A place is in one
 * ring at a time, and in that once: no ring is ever full, also where a handler completes by itself
 * and the worker does not come to look. */
#ifndef RUNTIME_DEFERRAL_H
#define RUNTIME_DEFERRAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <strid/handler.h>

#include "concurrent/agent.h"
#include "concurrent/ring.h"

enum {
    DEFERRAL_WORKERS = 256,
    DEFERRAL_OPEN_MAX = 1024, /* of a worker: with as many open it takes no further record */
    DEFERRAL_PLACES = 2048,   /* of a worker: those, and all records of a chunk and of retries */
    DEFERRAL_COMPLETERS = 64,
    DEFERRAL_FREE = 0,
    DEFERRAL_OPEN = 1,
    DEFERRAL_COMPLETED = 2,
    DEFERRAL_GENERATION = 1 << 8 /* word: generation * this + outcome * 16 + state */
};

struct deferral_place {
    _Atomic uint64_t word; /* release and acquire: what was done before counts for who sees it */
    atomic_bool queued;    /* it is in a ring, or about to be */
};

/* The places of a worker, made when its first handler defers, freed with the pipeline. */
struct deferral_places {
    struct deferral_place places[DEFERRAL_PLACES];
};

struct strid_completer {
    struct deferrals *deferrals;
    bool taken;                                     /* guarded by deferrals->lock */
    _Atomic(struct ring *) rings[DEFERRAL_WORKERS]; /* @thread the completer's makes them */
};

struct deferrals {
    _Atomic(struct deferral_places *) workers[DEFERRAL_WORKERS];
    _Atomic(struct strid_completer *) completers[DEFERRAL_COMPLETERS];
    pthread_mutex_t lock;                   /* guards `agents`, and taking completers */
    struct agent *agents[DEFERRAL_WORKERS]; /* of the run; NULL: none */
};

struct deferrals *deferral_create(void);            /* @thread control */
void deferral_destroy(struct deferrals *deferrals); /* @thread control; no thread completes */

/* @thread control. A run begins with its workers' agents; at its end every token becomes stale. */
void deferral_attach(struct deferrals *deferrals, uint32_t worker, struct agent *agent);
void deferral_detach_all(struct deferrals *deferrals);

/* @thread any. NULL: there are DEFERRAL_COMPLETERS. */
struct strid_completer *deferral_take_completer(struct deferrals *deferrals);
void deferral_give_completer(struct strid_completer *completer);
/* @thread the completer's. STRID_ESTALE, STRID_EINVAL */
strid_status deferral_complete(struct strid_completer *completer, strid_token token,
                               strid_outcome outcome);

/* @thread worker, all that follow. */
strid_token deferral_open(struct deferrals *deferrals, uint32_t worker, uint32_t place);
/* Whether the place is COMPLETED, with what. */
bool deferral_outcome(struct deferrals *deferrals, uint32_t worker, uint32_t place,
                      strid_outcome *outcome);
/* Ends a deferral; a token of it is stale from here on. `unless_completed`: false if it is. */
bool deferral_end(struct deferrals *deferrals, uint32_t worker, uint32_t place,
                  bool unless_completed);
/* A place to look at; UINT32_MAX: none. */
uint32_t deferral_next(struct deferrals *deferrals, uint32_t worker);

#endif
