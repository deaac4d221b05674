/* A TCP proxy on the loopback interface that does to a connection what networks do: holds one way
 * or both, delays, hands over a byte at a time, resets in the middle of a reply, goes half open.
 * Speaks no protocol: for Redis, Kafka and whatever comes. One thread of its own moves the bytes;
 * the functions below are called by the test's thread. */
#ifndef SUPPORT_FAULT_PROXY_H
#define SUPPORT_FAULT_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault_proxy;

/* What holds for all connections from now on; zeroed: everything flows. */
struct fault_proxy_rules {
    bool hold_requests; /* bytes from clients wait (nothing is lost) until the rule goes */
    bool hold_replies;
    bool refuse;             /* new connections are reset at once */
    uint32_t piece_bytes;    /* at most so many bytes are handed over at a time; 0: no limit */
    uint32_t delay_ms;       /* each piece, in both directions */
    uint64_t reset_at_bytes; /* once so many more reply bytes of a connection have gone through,
                                counted from when the rules were set: reset both sides; 0: never */
};

typedef enum fault_proxy_cut {
    FAULT_PROXY_CUT_CLOSE = 0, /* both sides see an orderly end */
    FAULT_PROXY_CUT_RESET,     /* both sides see a reset */
    FAULT_PROXY_CUT_HALF_OPEN  /* the server sees a reset, the client nothing, ever */
} fault_proxy_cut;

struct fault_proxy_counts {
    uint64_t accepted; /* connections, refused ones included */
    uint64_t open;     /* half open ones included */
    uint64_t resets;   /* made by reset_at_bytes, refuse and FAULT_PROXY_CUT_RESET */
    uint64_t request_bytes;
    uint64_t reply_bytes; /* handed over to the other side */
};

/* Listens on a free port of 127.0.0.1 and connects to 127.0.0.1:`target_port`. Ends the program
 * where that is impossible. */
struct fault_proxy *fault_proxy_start(uint16_t target_port);
/* Resets what is open, joins the thread, frees. NULL is fine. */
void fault_proxy_stop(struct fault_proxy *proxy);

uint16_t fault_proxy_port(const struct fault_proxy *proxy);
/* For connections from now on: a server that came back elsewhere, or advertises the proxy. */
void fault_proxy_retarget(struct fault_proxy *proxy, uint16_t target_port);
void fault_proxy_set(struct fault_proxy *proxy, const struct fault_proxy_rules *rules);
/* Cuts all connections that are open; it has happened when this returns. */
void fault_proxy_cut_all(struct fault_proxy *proxy, fault_proxy_cut how);
struct fault_proxy_counts fault_proxy_counts(struct fault_proxy *proxy);

#endif
