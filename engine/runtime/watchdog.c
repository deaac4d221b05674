/* Names the handler and the record that do not come back. A plain C handler cannot be stopped, only
 * reported. */
#include <inttypes.h>

#include "base/memory.h"
#include "runtime/worker.h"

struct watched {
    uint64_t calls;
    int64_t since_ns;
    bool reported;
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

static void report(struct watchdog *watchdog, struct worker *worker, const struct chunk_slot *slot,
                   int64_t for_ns)
{
    const struct definition *definition = watchdog->run->definition;
    uint32_t route = atomic_load_explicit(&worker->hand.route, memory_order_relaxed);
    log_warn(watchdog->run->log, "watchdog",
             "worker %u: handler \"%s\" has not come back for %" PRId64 " s from the record at %s "
             "partition %u position %" PRIu64 "-%" PRIu64,
             worker->index, definition->routes[route].name, for_ns / 1000000000,
             slot->record.origin->topic, slot->record.origin->partition, slot->record.position.high,
             slot->record.position.low);
}

void watchdog_look(struct watchdog *watchdog)
{
    struct run *run = watchdog->run;
    int64_t now = clock_monotonic_ns(run->clock);
    if (run->definition->watchdog_ms == 0)
        return;
    for (uint32_t w = 0; w < run->worker_count; w++) {
        struct worker *worker = &run->workers[w];
        struct watched *watched = &watchdog->watched[w];
        const struct chunk_slot *slot =
            atomic_load_explicit(&worker->hand.slot, memory_order_acquire);
        uint64_t calls = atomic_load_explicit(&worker->hand.calls, memory_order_relaxed);
        if (slot == NULL || calls != watched->calls) {
            *watched = (struct watched){.calls = calls, .since_ns = now};
        } else if (!watched->reported &&
                   now - watched->since_ns >= run->definition->watchdog_ms * 1000000) {
            /* The same call for that long: the slot is not about to change under us. */
            report(watchdog, worker, slot, now - watched->since_ns);
            watched->reported = true;
        }
    }
}
