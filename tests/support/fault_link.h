/* One connection through the fault proxy: two sockets and, for each direction, the piece on its way
 * from one to the other. @thread owner: whoever holds the proxy's lock */
#ifndef SUPPORT_FAULT_LINK_H
#define SUPPORT_FAULT_LINK_H

#include <poll.h>

#include "support/fault_proxy.h"

enum { FAULT_LINK_BYTES = 64 * 1024 };

struct fault_lane {
    uint8_t *bytes; /* FAULT_LINK_BYTES */
    size_t begin;   /* of what has not been handed over */
    size_t end;
    int64_t due_ms; /* when the next piece may go */
    bool source_ended;
    bool end_told; /* the other side's writing half is shut down */
};

struct fault_link {
    int client; /* -1: closed */
    int server; /* -1 while the client is open: half open */
    bool failed;
    struct fault_lane requests;
    struct fault_lane replies;
    uint64_t reply_bytes;
    uint64_t reset_at_bytes; /* of reply_bytes; 0: never */
};

/* Listens on a free port of 127.0.0.1; -1 and errno on failure. */
int fault_link_listen(uint16_t *port);
/* Closes so that the other end sees a reset. */
void fault_link_reset(int fd);

/* Takes `client`, connects to the target; false: the target refused, the client has been reset. */
bool fault_link_open(struct fault_link *link, int client, uint16_t target_port);
/* Releases memory and sockets. */
void fault_link_close(struct fault_link *link);
bool fault_link_is_open(const struct fault_link *link);
void fault_link_cut(struct fault_link *link, fault_proxy_cut how);

/* Says what to wait for: two entries, and a time-out that may become shorter. */
void fault_link_wait(const struct fault_link *link, const struct fault_proxy_rules *rules,
                     struct pollfd waits[2], int *timeout_ms);
/* Moves what the rules allow; never blocks. */
void fault_link_move(struct fault_link *link, const struct fault_proxy_rules *rules,
                     struct fault_proxy_counts *counts);

#endif
