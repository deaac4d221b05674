#include "support/fault_proxy.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "support/fault_link.h"

enum { LINKS_MAX = 256, ROUND_MS = 1000 };

/* One mutex: a proxy for tests moves few bytes, and a rule has to hold the moment it is set. The
 * thread gives it up only while it polls. */
struct fault_proxy {
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below but `listener`, `wake` and `port` */
    struct fault_link links[LINKS_MAX];
    size_t link_count;
    struct fault_proxy_rules rules;
    struct fault_proxy_counts counts;
    uint16_t target_port;
    bool stopping;
    int listener;
    int wake; /* eventfd */
    uint16_t port;
};

static void fail(const char *what)
{
    fprintf(stderr, "fault_proxy: cannot %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static void wake(struct fault_proxy *proxy)
{
    uint64_t one = 1;
    if (write(proxy->wake, &one, sizeof one) != (ssize_t)sizeof one)
        fail("wake its thread");
}

static void accept_all(struct fault_proxy *proxy)
{
    for (;;) {
        int client = accept4(proxy->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0)
            return;
        proxy->counts.accepted++;
        if (proxy->rules.refuse || proxy->link_count == LINKS_MAX) {
            fault_link_reset(client);
            proxy->counts.resets++;
            continue;
        }
        if (fault_link_open(&proxy->links[proxy->link_count], client, proxy->target_port)) {
            proxy->links[proxy->link_count].reset_at_bytes = proxy->rules.reset_at_bytes;
            proxy->link_count++;
        }
    }
}

/* Moves bytes of every link and drops those that came to an end. */
static void move_all(struct fault_proxy *proxy)
{
    size_t kept = 0;
    for (size_t i = 0; i < proxy->link_count; i++) {
        fault_link_move(&proxy->links[i], &proxy->rules, &proxy->counts);
        if (fault_link_is_open(&proxy->links[i])) {
            if (kept != i)
                proxy->links[kept] = proxy->links[i];
            kept++;
        } else {
            fault_link_close(&proxy->links[i]);
        }
    }
    proxy->link_count = kept;
    proxy->counts.open = kept;
}

static void *run(void *user)
{
    struct fault_proxy *proxy = user;
    static _Thread_local struct pollfd waits[2 + 2 * LINKS_MAX];
    (void)pthread_mutex_lock(&proxy->lock);
    while (!proxy->stopping) {
        waits[0] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        waits[1] = (struct pollfd){.fd = proxy->wake, .events = POLLIN};
        int timeout_ms = ROUND_MS;
        for (size_t i = 0; i < proxy->link_count; i++)
            fault_link_wait(&proxy->links[i], &proxy->rules, &waits[2 + 2 * i], &timeout_ms);
        nfds_t count = (nfds_t)(2 + 2 * proxy->link_count);
        (void)pthread_mutex_unlock(&proxy->lock);
        (void)poll(waits, count, timeout_ms);
        (void)pthread_mutex_lock(&proxy->lock);
        uint64_t wakes = 0;
        (void)!read(proxy->wake, &wakes, sizeof wakes);
        accept_all(proxy);
        move_all(proxy);
    }
    (void)pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

struct fault_proxy *fault_proxy_start(uint16_t target_port)
{
    struct fault_proxy *proxy = memory_alloc_zeroed(sizeof *proxy);
    proxy->target_port = target_port;
    proxy->listener = fault_link_listen(&proxy->port);
    if (proxy->listener < 0)
        fail("listen on 127.0.0.1");
    proxy->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (proxy->wake < 0)
        fail("make an eventfd");
    if (pthread_mutex_init(&proxy->lock, NULL) != 0 ||
        pthread_create(&proxy->thread, NULL, run, proxy) != 0)
        fail("start its thread");
    return proxy;
}

static void cut(struct fault_proxy *proxy, fault_proxy_cut how)
{
    for (size_t i = 0; i < proxy->link_count; i++) {
        fault_link_cut(&proxy->links[i], how);
        proxy->counts.resets += how == FAULT_PROXY_CUT_RESET;
    }
    move_all(proxy);
}

void fault_proxy_stop(struct fault_proxy *proxy)
{
    if (proxy == NULL)
        return;
    (void)pthread_mutex_lock(&proxy->lock);
    cut(proxy, FAULT_PROXY_CUT_RESET);
    proxy->stopping = true;
    (void)pthread_mutex_unlock(&proxy->lock);
    wake(proxy);
    (void)pthread_join(proxy->thread, NULL);
    cut(proxy, FAULT_PROXY_CUT_RESET); /* what came while it stopped */
    (void)close(proxy->listener);
    (void)close(proxy->wake);
    (void)pthread_mutex_destroy(&proxy->lock);
    memory_free(proxy);
}

uint16_t fault_proxy_port(const struct fault_proxy *proxy) { return proxy->port; }

void fault_proxy_retarget(struct fault_proxy *proxy, uint16_t target_port)
{
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->target_port = target_port;
    (void)pthread_mutex_unlock(&proxy->lock);
}

void fault_proxy_set(struct fault_proxy *proxy, const struct fault_proxy_rules *rules)
{
    (void)pthread_mutex_lock(&proxy->lock);
    proxy->rules = *rules;
    for (size_t i = 0; i < proxy->link_count; i++) {
        struct fault_link *link = &proxy->links[i];
        link->reset_at_bytes =
            rules->reset_at_bytes == 0 ? 0 : link->reply_bytes + rules->reset_at_bytes;
    }
    (void)pthread_mutex_unlock(&proxy->lock);
    wake(proxy);
}

void fault_proxy_cut_all(struct fault_proxy *proxy, fault_proxy_cut how)
{
    (void)pthread_mutex_lock(&proxy->lock);
    accept_all(proxy); /* those that wait to be accepted are open for their clients */
    cut(proxy, how);
    (void)pthread_mutex_unlock(&proxy->lock);
    wake(proxy);
}

struct fault_proxy_counts fault_proxy_counts(struct fault_proxy *proxy)
{
    (void)pthread_mutex_lock(&proxy->lock);
    struct fault_proxy_counts counts = proxy->counts;
    (void)pthread_mutex_unlock(&proxy->lock);
    return counts;
}
