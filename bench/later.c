#include "later.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "measure.h"

/* More than can be open: 1,024 for each of 64 workers. */
enum { TOKENS = 1 << 17, BATCH = 256 };

struct due {
    strid_token token;
    int64_t at_ns;
};

struct later {
    int64_t wait_ns;
    strid_completer *completer;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t wake;
    bool ended;
    uint64_t first, next; /* of `dues`, which is a ring; all wait as long, so it is in order */
    struct due dues[TOKENS];
    uint64_t stale; /* @thread the one that completes, then control */
};

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_until(int64_t at_ns)
{
    const struct timespec at = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* Those that are due, oldest first; none: `*at_ns` says when the first one is. */
static uint32_t take_due(struct later *later, strid_token out[BATCH], int64_t *at_ns)
{
    uint32_t count = 0;
    (void)pthread_mutex_lock(&later->lock);
    while (later->first == later->next && !later->ended)
        (void)pthread_cond_wait(&later->wake, &later->lock);
    int64_t now = now_ns();
    while (later->first < later->next && count < BATCH) {
        const struct due *due = &later->dues[later->first % TOKENS];
        *at_ns = due->at_ns;
        if (due->at_ns > now)
            break;
        out[count++] = due->token;
        later->first++;
    }
    (void)pthread_mutex_unlock(&later->lock);
    return count;
}

static bool is_over(struct later *later)
{
    (void)pthread_mutex_lock(&later->lock);
    bool over = later->ended && later->first == later->next;
    (void)pthread_mutex_unlock(&later->lock);
    return over;
}

static void *later_main(void *self)
{
    struct later *later = self;
    strid_token tokens[BATCH];
    while (!is_over(later)) {
        int64_t at_ns = 0;
        uint32_t count = take_due(later, tokens, &at_ns);
        for (uint32_t i = 0; i < count; i++)
            if (strid_complete(later->completer, tokens[i], STRID_DONE) != STRID_OK)
                later->stale++;
        if (count == 0 && at_ns != 0)
            sleep_until(at_ns);
    }
    return NULL;
}

void later_complete(struct later *later, strid_token token)
{
    int64_t at_ns = now_ns() + later->wait_ns;
    (void)pthread_mutex_lock(&later->lock);
    later->dues[later->next % TOKENS] = (struct due){.token = token, .at_ns = at_ns};
    if (later->next++ == later->first)
        (void)pthread_cond_signal(&later->wake);
    (void)pthread_mutex_unlock(&later->lock);
}

struct later *later_create(strid_pipeline *pipeline, int64_t wait_us)
{
    strid_error error = STRID_ERROR_INIT;
    struct later *later = calloc(1, sizeof *later);
    if (later == NULL)
        return NULL;
    later->wait_ns = wait_us * 1000;
    later->completer = strid_completer_create(pipeline, &error);
    if (later->completer == NULL) {
        (void)measure_failed("completer", error.message);
        free(later);
        return NULL;
    }
    (void)pthread_mutex_init(&later->lock, NULL);
    (void)pthread_cond_init(&later->wake, NULL);
    if (pthread_create(&later->thread, NULL, later_main, later) == 0)
        return later;
    (void)measure_failed("completer", "no thread");
    strid_completer_destroy(later->completer);
    free(later);
    return NULL;
}

uint64_t later_destroy(struct later *later)
{
    (void)pthread_mutex_lock(&later->lock);
    later->ended = true;
    (void)pthread_cond_signal(&later->wake);
    (void)pthread_mutex_unlock(&later->lock);
    (void)pthread_join(later->thread, NULL);
    uint64_t stale = later->stale;
    strid_completer_destroy(later->completer);
    (void)pthread_cond_destroy(&later->wake);
    (void)pthread_mutex_destroy(&later->lock);
    free(later);
    return stale;
}
