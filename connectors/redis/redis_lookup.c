#include "redis_lookup.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* Owned by the asking thread until it has ended or was left behind, then by the other one. */
struct lookup {
    char *host, *port;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t end;
    bool ended, left;
    int failure;
    struct addrinfo *found;
};

static int ask(const char *host, const char *port, int flags, struct addrinfo **found)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    return getaddrinfo(host, port, &hints, found);
}

static struct lookup *make(const char *host, const char *port)
{
    struct lookup *lookup = memory_alloc_zeroed(sizeof *lookup);
    pthread_condattr_t attributes;
    lookup->host = memory_copy_text(host);
    lookup->port = memory_copy_text(port);
    (void)pthread_mutex_init(&lookup->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&lookup->end, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return lookup;
}

static void destroy(struct lookup *lookup)
{
    if (lookup->found != NULL)
        freeaddrinfo(lookup->found);
    (void)pthread_cond_destroy(&lookup->end);
    (void)pthread_mutex_destroy(&lookup->lock);
    memory_free(lookup->host);
    memory_free(lookup->port);
    memory_free(lookup);
}

static void *look_up(void *user)
{
    struct lookup *lookup = user;
    struct addrinfo *found = NULL;
    int failure = ask(lookup->host, lookup->port, 0, &found);
    pthread_mutex_lock(&lookup->lock);
    lookup->failure = failure;
    lookup->found = failure == 0 ? found : NULL;
    lookup->ended = true;
    bool left = lookup->left;
    pthread_cond_signal(&lookup->end);
    pthread_mutex_unlock(&lookup->lock);
    if (left)
        destroy(lookup);
    return NULL;
}

static bool start(struct lookup *lookup)
{
    pthread_attr_t attributes;
    pthread_t thread;
    /* Signals belong to the host's threads. */
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, &attributes, look_up, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return failed == 0;
}

static struct timespec deadline_of(int64_t timeout_ms)
{
    int64_t end_ns = clock_monotonic_ns(&clock_system) + timeout_ms * 1000000;
    return (struct timespec){.tv_sec = end_ns / 1000000000, .tv_nsec = end_ns % 1000000000};
}

static const char *await(struct lookup *lookup, int64_t timeout_ms, struct addrinfo **found)
{
    struct timespec deadline = deadline_of(timeout_ms);
    pthread_mutex_lock(&lookup->lock);
    while (!lookup->ended &&
           pthread_cond_timedwait(&lookup->end, &lookup->lock, &deadline) != ETIMEDOUT)
        ;
    bool ended = lookup->ended;
    lookup->left = !ended;
    pthread_mutex_unlock(&lookup->lock);
    if (!ended)
        return "no name server has answered in time";
    int failure = lookup->failure;
    *found = lookup->found;
    lookup->found = NULL;
    destroy(lookup);
    return failure == 0 ? NULL : gai_strerror(failure);
}

const char *redis_lookup(const char *host, const char *port, int64_t timeout_ms,
                         struct addrinfo **found)
{
    *found = NULL;
    if (ask(host, port, AI_NUMERICHOST, found) == 0)
        return NULL;
    *found = NULL;
    struct lookup *lookup = make(host, port);
    if (start(lookup))
        return await(lookup, timeout_ms, found);
    destroy(lookup);
    return "no thread could be started to look it up";
}
