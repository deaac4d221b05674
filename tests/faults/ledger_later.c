#include "faults/ledger_later.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SOON = 24, WAIT_NS = 3000000 };

/* Waits until there are some, or one for long enough; false: the end. With the lock. */
static bool wait_for_some(struct ledger_later *later)
{
    while (!later->ended && later->count == 0)
        (void)pthread_cond_wait(&later->wake, &later->lock);
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (!later->ended && later->count < SOON)
        if (pthread_cond_timedwait(&later->wake, &later->lock, &until) == ETIMEDOUT)
            break;
    return !later->ended;
}

static void *complete_all(void *user)
{
    struct ledger_later *later = user;
    (void)pthread_mutex_lock(&later->lock);
    while (wait_for_some(later)) {
        while (later->count > 0 && !later->ended) {
            later->count--;
            strid_token token = later->queue[later->count].token;
            strid_outcome outcome = later->queue[later->count].outcome;
            (void)pthread_mutex_unlock(&later->lock);
            /* Stale is fine: the run may have been told to end at once. */
            if (strid_complete(later->completer, token, outcome) == STRID_EINVAL)
                fprintf(stderr, "ledger: a completion was refused\n");
            (void)pthread_mutex_lock(&later->lock);
        }
    }
    (void)pthread_mutex_unlock(&later->lock);
    return NULL;
}

int ledger_later_start(struct ledger_later *later, strid_pipeline *pipeline)
{
    strid_error error = STRID_ERROR_INIT;
    (void)pthread_mutex_init(&later->lock, NULL);
    (void)pthread_cond_init(&later->wake, NULL);
    later->completer = strid_completer_create(pipeline, &error);
    int failed = later->completer == NULL
                     ? ENOMEM
                     : pthread_create(&later->thread, NULL, complete_all, later);
    if (failed != 0)
        fprintf(stderr, "ledger: no completer: %s %s\n", error.message, strerror(failed));
    return failed == 0 ? 0 : -1;
}

void ledger_later_stop(struct ledger_later *later)
{
    (void)pthread_mutex_lock(&later->lock);
    later->ended = true;
    (void)pthread_cond_signal(&later->wake);
    (void)pthread_mutex_unlock(&later->lock);
    (void)pthread_join(later->thread, NULL);
    strid_completer_destroy(later->completer);
    (void)pthread_cond_destroy(&later->wake);
    (void)pthread_mutex_destroy(&later->lock);
}

strid_outcome ledger_later_defer(struct ledger_later *later, strid_context *ctx,
                                 strid_outcome outcome)
{
    strid_token token = strid_defer(ctx);
    bool taken = false;
    (void)pthread_mutex_lock(&later->lock);
    if (later->count < LEDGER_LATER_MAX) {
        later->queue[later->count].token = token;
        later->queue[later->count].outcome = outcome;
        later->count++;
        taken = true;
    }
    (void)pthread_cond_signal(&later->wake);
    (void)pthread_mutex_unlock(&later->lock);
    return taken ? STRID_DEFERRED : outcome;
}
