#include "support/fault_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct sockaddr_in address_of(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int fault_link_listen(uint16_t *port)
{
    struct sockaddr_in address = address_of(0);
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        (void)close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

void fault_link_reset(int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    (void)close(fd);
}

static void no_delay(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool fault_link_open(struct fault_link *link, int client, uint16_t target_port)
{
    struct sockaddr_in address = address_of(target_port);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server < 0 || (connect(server, (struct sockaddr *)&address, sizeof address) != 0 &&
                       errno != EINPROGRESS)) {
        if (server >= 0)
            (void)close(server);
        fault_link_reset(client);
        return false;
    }
    no_delay(client);
    no_delay(server);
    *link = (struct fault_link){.client = client, .server = server};
    link->requests.bytes = memory_alloc(FAULT_LINK_BYTES);
    link->replies.bytes = memory_alloc(FAULT_LINK_BYTES);
    return true;
}

bool fault_link_is_open(const struct fault_link *link)
{
    return !link->failed && link->client >= 0;
}

void fault_link_cut(struct fault_link *link, fault_proxy_cut how)
{
    if (link->server >= 0 && how == FAULT_PROXY_CUT_CLOSE)
        (void)close(link->server);
    else if (link->server >= 0)
        fault_link_reset(link->server);
    link->server = -1;
    if (how == FAULT_PROXY_CUT_HALF_OPEN || link->client < 0)
        return;
    if (how == FAULT_PROXY_CUT_CLOSE)
        (void)close(link->client);
    else
        fault_link_reset(link->client);
    link->client = -1;
}

void fault_link_close(struct fault_link *link)
{
    fault_link_cut(link, link->failed ? FAULT_PROXY_CUT_RESET : FAULT_PROXY_CUT_CLOSE);
    memory_free(link->requests.bytes);
    memory_free(link->replies.bytes);
    *link = (struct fault_link){.client = -1, .server = -1};
}

static bool is_empty(const struct fault_lane *lane) { return lane->begin == lane->end; }

/* What one socket is waited for: bytes for the lane that begins there, room for the one that ends
 * there. A held lane reads nothing, so that the sender sees its window close. */
static short events_of(const struct fault_lane *from, bool from_held, const struct fault_lane *to,
                       bool to_held, int64_t now)
{
    short events = 0;
    if (!from_held && is_empty(from) && !from->source_ended)
        events |= POLLIN;
    if (!to_held && !is_empty(to) && to->due_ms <= now)
        events |= POLLOUT;
    return events;
}

static void wait_until_due(const struct fault_lane *lane, bool held, int64_t now, int *timeout_ms)
{
    int64_t left = lane->due_ms - now;
    if (!held && !is_empty(lane) && left > 0 && left < *timeout_ms)
        *timeout_ms = (int)left;
}

void fault_link_wait(const struct fault_link *link, const struct fault_proxy_rules *rules,
                     struct pollfd waits[2], int *timeout_ms)
{
    int64_t now = now_ms();
    if (link->server < 0) { /* half open: only its end counts */
        waits[0] = (struct pollfd){.fd = link->client, .events = POLLRDHUP};
        waits[1] = (struct pollfd){.fd = -1};
        return;
    }
    short client =
        events_of(&link->requests, rules->hold_requests, &link->replies, rules->hold_replies, now);
    short server =
        events_of(&link->replies, rules->hold_replies, &link->requests, rules->hold_requests, now);
    /* A socket without events is left out: poll would report its end again and again. */
    waits[0] = (struct pollfd){.fd = client == 0 ? -1 : link->client, .events = client};
    waits[1] = (struct pollfd){.fd = server == 0 ? -1 : link->server, .events = server};
    wait_until_due(&link->requests, rules->hold_requests, now, timeout_ms);
    wait_until_due(&link->replies, rules->hold_replies, now, timeout_ms);
}

/* False: the connection broke. */
static bool fill(struct fault_lane *lane, int from, const struct fault_proxy_rules *rules)
{
    if (!is_empty(lane) || lane->source_ended)
        return true;
    ssize_t got = recv(from, lane->bytes, FAULT_LINK_BYTES, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
    lane->source_ended = got == 0;
    lane->begin = 0;
    lane->end = (size_t)got;
    lane->due_ms = now_ms() + rules->delay_ms;
    return true;
}

/* Hands one piece over, at most `most` bytes; `sent` says how many went. False: it broke. */
static bool hand_over(struct fault_lane *lane, int to, const struct fault_proxy_rules *rules,
                      uint64_t most, size_t *sent)
{
    *sent = 0;
    size_t len = lane->end - lane->begin;
    if (rules->piece_bytes > 0 && len > rules->piece_bytes)
        len = rules->piece_bytes;
    if (len > most)
        len = (size_t)most;
    if (len > 0 && lane->due_ms <= now_ms()) {
        ssize_t put = send(to, lane->bytes + lane->begin, len, MSG_NOSIGNAL);
        if (put < 0)
            return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
        *sent = (size_t)put;
        lane->begin += (size_t)put;
        lane->due_ms = now_ms() + (rules->piece_bytes > 0 ? rules->delay_ms : 0);
    }
    if (is_empty(lane) && lane->source_ended && !lane->end_told) {
        (void)shutdown(to, SHUT_WR);
        lane->end_told = true;
    }
    return true;
}

static void move_requests(struct fault_link *link, const struct fault_proxy_rules *rules,
                          struct fault_proxy_counts *counts)
{
    size_t sent = 0;
    if (rules->hold_requests || link->failed)
        return;
    link->failed = !fill(&link->requests, link->client, rules) ||
                   !hand_over(&link->requests, link->server, rules, UINT64_MAX, &sent);
    counts->request_bytes += sent;
}

static void move_replies(struct fault_link *link, const struct fault_proxy_rules *rules,
                         struct fault_proxy_counts *counts)
{
    size_t sent = 0;
    if (rules->hold_replies || link->failed)
        return;
    uint64_t most =
        link->reset_at_bytes == 0 ? UINT64_MAX : link->reset_at_bytes - link->reply_bytes;
    link->failed = !fill(&link->replies, link->server, rules) ||
                   !hand_over(&link->replies, link->client, rules, most, &sent);
    link->reply_bytes += sent;
    counts->reply_bytes += sent;
    if (link->reset_at_bytes != 0 && link->reply_bytes >= link->reset_at_bytes) {
        link->failed = true;
        counts->resets++;
    }
}

static bool client_has_gone(const struct fault_link *link)
{
    struct pollfd look = {.fd = link->client, .events = POLLRDHUP};
    return poll(&look, 1, 0) == 1;
}

void fault_link_move(struct fault_link *link, const struct fault_proxy_rules *rules,
                     struct fault_proxy_counts *counts)
{
    if (!fault_link_is_open(link))
        return;
    if (link->server < 0) {
        if (client_has_gone(link))
            fault_link_cut(link, FAULT_PROXY_CUT_CLOSE);
        return;
    }
    move_requests(link, rules, counts);
    move_replies(link, rules, counts);
    if (link->requests.end_told && link->replies.end_told)
        fault_link_cut(link, FAULT_PROXY_CUT_CLOSE);
}
