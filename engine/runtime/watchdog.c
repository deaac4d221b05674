/* Names the handler and the record that do not come back, and tells the worker which call exceeded
 * its time-out. A plain C handler cannot be stopped, only reported. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "runtime/worker.h"

struct watched {
    uint64_t calls;
    int64_t since_ns;
    bool reported, expired;
};

struct watchdog {
    struct run *run;
    struct watched *watched; /* per worker */
};

struct watchdog *watchdog_create(struct run *run)
{
    struct watchdog *watchdog = memory_alloc_zeroed(sizeof *watchdog);
    watchdog->run = run;
    watchdog->watched = memory_alloc_zeroed(run->worker_count * sizeof *watchdog->watched);
    for (uint32_t w = 0; w < run->worker_count; w++)
        watchdog->watched[w].since_ns = clock_monotonic_ns(run->clock);
    return watchdog;
}

void watchdog_destroy(struct watchdog *watchdog)
{
    if (watchdog == NULL)
        return;
    memory_free(watchdog->watched);
    memory_free(watchdog);
}

static void report(struct watchdog *watchdog, struct worker *worker, const char *what)
{
    const struct run *run = watchdog->run;
    const struct definition *definition = run->definition;
    uint32_t partition = atomic_load_explicit(&worker->hand.partition, memory_order_relaxed);
    const strid_origin *origin = &run->partitions[partition].origin;
    uint32_t route = atomic_load_explicit(&worker->hand.route, memory_order_relaxed);
    log_warn(watchdog->run->log, "watchdog",
             "worker %u: handler \"%s\" %s the record at %s partition %u position %" PRIu64
             "-%" PRIu64,
             worker->index, definition->routes[route].name, what, origin->topic, origin->partition,
             atomic_load_explicit(&worker->mark->high, memory_order_relaxed),
             atomic_load_explicit(&worker->mark->low, memory_order_relaxed));
}

/* The number of the call tells the worker which one is meant: it may have gone on to the next. */
static void expire(struct watchdog *watchdog, struct worker *worker, int64_t timeout_ms)
{
    char what[128];
    bool ends = watchdog->run->definition->on_timeout == DEFINITION_ON_TIMEOUT_ABORT;
    (void)snprintf(what, sizeof what, "exceeded its timeout of %" PRId64 " ms, %s with", timeout_ms,
                   ends ? "the process ends (on_timeout: abort),"
                        : "its attempt has failed once it returns,");
    atomic_store_explicit(&worker->hand.overdue, watchdog->watched[worker->index].calls,
                          memory_order_relaxed);
    report(watchdog, worker, what);
    if (ends)
        abort();
}

static int64_t timeout_of(const struct definition *definition, const struct worker *worker)
{
    uint32_t route = atomic_load_explicit(&worker->hand.route, memory_order_relaxed);
    int64_t own_ms = definition->routes[route].timeout_ms;
    return own_ms < 0 ? definition->timeout_ms : own_ms;
}

static void look_at(struct watchdog *watchdog, struct worker *worker, int64_t now)
{
    const struct definition *definition = watchdog->run->definition;
    struct watched *watched = &watchdog->watched[worker->index];
    uint32_t in_hand = atomic_load_explicit(&worker->mark->flags, memory_order_acquire);
    uint64_t calls = atomic_load_explicit(&worker->hand.calls, memory_order_relaxed);
    if (in_hand == 0 || calls != watched->calls || calls == 0) {
        *watched = (struct watched){.calls = calls, .since_ns = now};
        return;
    }
    /* The same call since the last look: where it is over a limit, the mark is not about to change
     * under us. */
    int64_t for_ns = now - watched->since_ns;
    int64_t timeout_ms = timeout_of(definition, worker);
    bool tell = definition->watchdog_ms > 0 && for_ns >= definition->watchdog_ms * 1000000;
    bool late = timeout_ms > 0 && for_ns >= timeout_ms * 1000000;
    if (tell && !watched->reported) {
        char what[64];
        (void)snprintf(what, sizeof what, "has not come back for %" PRId64 " s from",
                       for_ns / 1000000000);
        report(watchdog, worker, what);
        watched->reported = true;
    }
    if (late && !watched->expired) {
        watched->expired = true;
        expire(watchdog, worker, timeout_ms);
    }
}

void watchdog_look(struct watchdog *watchdog)
{
    struct run *run = watchdog->run;
    int64_t now = clock_monotonic_ns(run->clock);
    for (uint32_t w = 0; w < run->worker_count; w++)
        look_at(watchdog, &run->workers[w], now);
}
