#include "redis_watch.h"

#include "base/clock.h"
#include "base/memory.h"

#include "redis_connection.h"

#include <string.h>

enum { CONNECT_MS = 500, ANSWER_MS = 200 };

static const int64_t ns_per_ms = 1000000, asks_ns = INT64_C(500000000),
                     stale_ns = INT64_C(1000000000), /* what an answer is worth */
    pause_ns = INT64_C(5000000000);                  /* after none of them could be asked */

struct redis_watch {
    const struct redis_address *address;
    struct redis_server_config config; /* with a shorter timeout */
    struct redis_address sentinel;     /* the one that is asked; borrowed, but for `config` */
    struct redis_connection connection;
    uint32_t at, failures; /* which one; how many were left since one answered */
    int64_t due_ns, asked_ns, answered_ns;
    bool is_asked, is_elsewhere;
};

static void choose(struct redis_watch *watch, uint32_t sentinel)
{
    redis_connection_fini(&watch->connection);
    watch->at = sentinel % watch->address->sentinel_count;
    watch->sentinel = watch->address->sentinels[watch->at];
    watch->sentinel.config = &watch->config;
    watch->is_asked = false;
    redis_connection_init(&watch->connection, &watch->sentinel, NULL);
}

struct redis_watch *redis_watch_create(const struct redis_address *address)
{
    struct redis_watch *watch = memory_alloc_zeroed(sizeof *watch);
    watch->address = address;
    watch->config = *address->config;
    if (watch->config.timeout_ms > CONNECT_MS)
        watch->config.timeout_ms = CONNECT_MS;
    choose(watch, 0);
    return watch;
}

void redis_watch_destroy(struct redis_watch *watch)
{
    if (watch == NULL)
        return;
    redis_connection_fini(&watch->connection);
    memory_free(watch);
}

void redis_watch_begin(struct redis_watch *watch, const struct redis_sentinel_master *master)
{
    if (watch->at != master->sentinel || watch->is_asked) /* that answer would be of before */
        choose(watch, master->sentinel);
    watch->answered_ns = clock_monotonic_ns(&clock_system);
    watch->due_ns = watch->answered_ns + asks_ns;
    watch->failures = 0;
    watch->is_elsewhere = false;
}

/* The next one at once: the one that was asked may have gone with the master. */
static void leave(struct redis_watch *watch, int64_t now_ns)
{
    choose(watch, watch->at + 1);
    watch->failures++;
    watch->due_ns =
        watch->failures % watch->address->sentinel_count == 0 ? now_ns + pause_ns : now_ns;
}

static void ask(struct redis_watch *watch, int64_t now_ns)
{
    strid_error ignored = STRID_ERROR_INIT;
    if (redis_connection_open(&watch->connection, &ignored) != STRID_OK) {
        leave(watch, now_ns);
        return;
    }
    redis_sentinel_ask(&watch->connection.out, watch->address->master);
    watch->is_asked = true;
    watch->asked_ns = now_ns;
    watch->due_ns = now_ns + asks_ns;
}

/* Whether there was an answer, or none will come. */
static bool take(struct redis_watch *watch, const struct redis_sentinel_master *master,
                 int64_t now_ns)
{
    struct redisReply *reply = NULL;
    struct redis_sentinel_master named;
    strid_error ignored = STRID_ERROR_INIT;
    strid_status status = redis_connection_poll(&watch->connection, &reply, &ignored);
    if (status == STRID_AGAIN && now_ns - watch->asked_ns <= stale_ns)
        return false;
    if (status == STRID_OK && redis_sentinel_take(reply, &named, &ignored) == STRID_OK) {
        watch->is_elsewhere =
            strcmp(named.host, master->host) != 0 || strcmp(named.port, master->port) != 0;
        watch->is_asked = false;
        watch->answered_ns = watch->asked_ns; /* it may have come long ago, and waited */
        watch->failures = 0;
    } else
        leave(watch, now_ns);
    redis_reply_free(reply);
    return true;
}

static void await(struct redis_watch *watch, const struct redis_sentinel_master *master)
{
    int64_t now_ns = clock_monotonic_ns(&clock_system);
    const int64_t end_ns = now_ns + ANSWER_MS * ns_per_ms;
    while (watch->is_asked && now_ns < end_ns && !take(watch, master, now_ns)) {
        const struct redis_connection *connection = &watch->connection;
        (void)redis_socket_wait(&connection->socket, connection->sent < connection->out.len,
                                (end_ns - now_ns) / ns_per_ms + 1);
        now_ns = clock_monotonic_ns(&clock_system);
    }
}

bool redis_watch_is_elsewhere(struct redis_watch *watch, const struct redis_sentinel_master *master,
                              bool is_patient)
{
    const int64_t now_ns = clock_monotonic_ns(&clock_system);
    if (!watch->is_asked && now_ns >= watch->due_ns)
        ask(watch, now_ns);
    if (watch->is_asked)
        (void)take(watch, master, now_ns);
    if (is_patient && now_ns - watch->answered_ns > stale_ns) {
        if (!watch->is_asked)
            ask(watch, now_ns);
        await(watch, master);
    }
    return watch->is_elsewhere;
}
