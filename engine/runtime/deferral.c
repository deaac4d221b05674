#include "runtime/deferral.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/mutant.h"

enum { STATE_MASK = 15, OUTCOME_SHIFT = 4 };

struct deferrals *deferral_create(void)
{
    struct deferrals *deferrals = memory_alloc_zeroed(sizeof *deferrals);
    pthread_mutex_init(&deferrals->lock, NULL);
    return deferrals;
}

void deferral_destroy(struct deferrals *deferrals)
{
    if (deferrals == NULL)
        return;
    for (uint32_t i = 0; i < DEFERRAL_COMPLETERS; i++) {
        struct strid_completer *completer = deferrals->completers[i];
        for (uint32_t w = 0; completer != NULL && w < DEFERRAL_WORKERS; w++)
            if (completer->rings[w] != NULL)
                ring_destroy(completer->rings[w]);
        memory_free(completer);
    }
    for (uint32_t w = 0; w < DEFERRAL_WORKERS; w++)
        memory_free(deferrals->workers[w]);
    pthread_mutex_destroy(&deferrals->lock);
    memory_free(deferrals);
}

void deferral_attach(struct deferrals *deferrals, uint32_t worker, struct agent *agent)
{
    pthread_mutex_lock(&deferrals->lock);
    deferrals->agents[worker] = agent;
    pthread_mutex_unlock(&deferrals->lock);
}

static uint64_t next_generation(uint64_t word)
{
    return (word / DEFERRAL_GENERATION + !MUTANT(MUTANT_TOKEN_KEPT)) * DEFERRAL_GENERATION;
}

static struct deferral_place *place_of(struct deferrals *deferrals, uint32_t worker, uint32_t place)
{
    /* acquire: pairs with the release of the worker that made them */
    struct deferral_places *places =
        atomic_load_explicit(&deferrals->workers[worker], memory_order_acquire);
    return places == NULL ? NULL : &places->places[place];
}

void deferral_detach_all(struct deferrals *deferrals)
{
    pthread_mutex_lock(&deferrals->lock);
    memset(deferrals->agents, 0, sizeof deferrals->agents);
    pthread_mutex_unlock(&deferrals->lock);
    for (uint32_t w = 0; w < DEFERRAL_WORKERS; w++)
        for (uint32_t p = 0; place_of(deferrals, w, p) != NULL && p < DEFERRAL_PLACES; p++)
            if (atomic_load_explicit(&place_of(deferrals, w, p)->word, memory_order_acquire) %
                    DEFERRAL_GENERATION !=
                0)
                (void)deferral_end(deferrals, w, p, false);
}

struct strid_completer *deferral_take_completer(struct deferrals *deferrals)
{
    struct strid_completer *taken = NULL;
    pthread_mutex_lock(&deferrals->lock);
    for (uint32_t i = 0; taken == NULL && i < DEFERRAL_COMPLETERS; i++) {
        struct strid_completer *completer =
            atomic_load_explicit(&deferrals->completers[i], memory_order_relaxed);
        if (completer == NULL) {
            completer = memory_alloc_zeroed(sizeof *completer);
            completer->deferrals = deferrals;
            /* release: workers look through the table without the lock */
            atomic_store_explicit(&deferrals->completers[i], completer, memory_order_release);
        }
        if (!completer->taken)
            taken = completer;
    }
    if (taken != NULL)
        taken->taken = true;
    pthread_mutex_unlock(&deferrals->lock);
    return taken;
}

void deferral_give_completer(struct strid_completer *completer)
{
    struct deferrals *deferrals = completer->deferrals;
    pthread_mutex_lock(&deferrals->lock);
    completer->taken = false;
    pthread_mutex_unlock(&deferrals->lock);
}

static struct ring *ring_to(struct strid_completer *completer, uint32_t worker)
{
    struct ring *ring = atomic_load_explicit(&completer->rings[worker], memory_order_relaxed);
    if (ring == NULL) {
        ring = ring_create(DEFERRAL_PLACES);
        atomic_store_explicit(&completer->rings[worker], ring, memory_order_release);
    }
    return ring;
}

static void wake(struct deferrals *deferrals, uint32_t worker)
{
    pthread_mutex_lock(&deferrals->lock);
    if (deferrals->agents[worker] != NULL)
        agent_wake(deferrals->agents[worker]);
    pthread_mutex_unlock(&deferrals->lock);
}

strid_status deferral_complete(struct strid_completer *completer, strid_token token,
                               strid_outcome outcome)
{
    struct deferrals *deferrals = completer->deferrals;
    if (token.worker >= DEFERRAL_WORKERS || token.place >= DEFERRAL_PLACES ||
        (unsigned)outcome > STRID_REJECT)
        return STRID_EINVAL;
    struct deferral_place *place = place_of(deferrals, token.worker, token.place);
    if (place == NULL)
        return STRID_EINVAL;
    uint64_t open = token.generation * DEFERRAL_GENERATION + DEFERRAL_OPEN;
    uint64_t completed = token.generation * DEFERRAL_GENERATION +
                         ((uint64_t)outcome << OUTCOME_SHIFT) + DEFERRAL_COMPLETED;
    /* release: what the thread did before it said so is seen by the worker that settles */
    if (!atomic_compare_exchange_strong_explicit(&place->word, &open, completed,
                                                 memory_order_acq_rel, memory_order_relaxed))
        return STRID_ESTALE;
    /* acquire and release, as in deferral_next(): who clears it sees this outcome */
    if (!atomic_exchange_explicit(&place->queued, true, memory_order_acq_rel)) {
        bool pushed = ring_push(ring_to(completer, token.worker), place);
        STRID_ASSERT(pushed);
    }
    wake(deferrals, token.worker);
    return STRID_OK;
}

strid_token deferral_open(struct deferrals *deferrals, uint32_t worker, uint32_t place)
{
    if (place_of(deferrals, worker, place) == NULL) {
        struct deferral_places *places = memory_alloc_zeroed(sizeof *places);
        atomic_store_explicit(&deferrals->workers[worker], places, memory_order_release);
    }
    struct deferral_place *at = place_of(deferrals, worker, place);
    uint64_t word = atomic_load_explicit(&at->word, memory_order_relaxed);
    STRID_ASSERT(word % DEFERRAL_GENERATION == DEFERRAL_FREE);
    /* Generations begin at 1: a zeroed token is stale. */
    if (word == 0)
        word = DEFERRAL_GENERATION;
    atomic_store_explicit(&at->word, word + DEFERRAL_OPEN, memory_order_release);
    return (strid_token){
        .worker = worker, .place = place, .generation = word / DEFERRAL_GENERATION};
}

bool deferral_outcome(struct deferrals *deferrals, uint32_t worker, uint32_t place,
                      strid_outcome *outcome)
{
    uint64_t word =
        atomic_load_explicit(&place_of(deferrals, worker, place)->word, memory_order_acquire);
    if ((word & STATE_MASK) != DEFERRAL_COMPLETED)
        return false;
    *outcome = (strid_outcome)(word >> OUTCOME_SHIFT & STATE_MASK);
    return true;
}

bool deferral_end(struct deferrals *deferrals, uint32_t worker, uint32_t place,
                  bool unless_completed)
{
    struct deferral_place *at = place_of(deferrals, worker, place);
    uint64_t word = atomic_load_explicit(&at->word, memory_order_acquire);
    do
        if (unless_completed && (word & STATE_MASK) == DEFERRAL_COMPLETED)
            return false;
    while (!atomic_compare_exchange_weak_explicit(&at->word, &word, next_generation(word),
                                                  memory_order_acq_rel, memory_order_acquire));
    return true;
}

uint32_t deferral_next(struct deferrals *deferrals, uint32_t worker)
{
    struct deferral_place *first = place_of(deferrals, worker, 0);
    for (uint32_t i = 0; i < DEFERRAL_COMPLETERS; i++) {
        struct strid_completer *completer =
            atomic_load_explicit(&deferrals->completers[i], memory_order_acquire);
        if (completer == NULL)
            break;
        struct ring *ring = atomic_load_explicit(&completer->rings[worker], memory_order_acquire);
        struct deferral_place *place = ring == NULL ? NULL : ring_pop(ring);
        if (place == NULL)
            continue;
        (void)atomic_exchange_explicit(&place->queued, false, memory_order_acq_rel);
        return (uint32_t)(place - first);
    }
    return UINT32_MAX;
}
