#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/fault_link.h"
#include "support/fault_proxy.h"
#include "support/support.h"

enum { DEADLINE_MS = 20000 };

/* Both ends of one connection through a proxy; the test plays client and server itself. */
struct ends {
    struct fault_proxy *proxy;
    int listener;
    int client;
    int server;
};

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int accept_one(int listener)
{
    struct pollfd look = {.fd = listener, .events = POLLIN};
    cr_assert_eq(poll(&look, 1, DEADLINE_MS), 1);
    return accept(listener, NULL, NULL);
}

static struct ends open_ends(const struct fault_proxy_rules *rules)
{
    struct ends ends = {0};
    uint16_t port = 0;
    ends.listener = fault_link_listen(&port);
    cr_assert_geq(ends.listener, 0);
    ends.proxy = fault_proxy_start(port);
    fault_proxy_set(ends.proxy, rules);
    ends.client = connect_to(fault_proxy_port(ends.proxy));
    ends.server = accept_one(ends.listener);
    return ends;
}

static void close_ends(struct ends *ends)
{
    fault_proxy_stop(ends->proxy);
    (void)close(ends->client);
    (void)close(ends->server);
    (void)close(ends->listener);
}

/* Receives up to `len` bytes, until the end or an error; `*error` is errno of the latter, or 0. */
static size_t take(int fd, char *bytes, size_t len, int *error)
{
    size_t got = 0;
    *error = 0;
    while (got < len) {
        struct pollfd look = {.fd = fd, .events = POLLIN};
        cr_assert_eq(poll(&look, 1, DEADLINE_MS), 1, "nothing came");
        ssize_t n = recv(fd, bytes + got, len - got, 0);
        if (n < 0)
            *error = errno;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    return got;
}

static void check_flow(int from, int to, const char *text)
{
    char bytes[64] = {0};
    int error = 0;
    cr_assert_eq(send(from, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    cr_assert_eq(take(to, bytes, strlen(text), &error), strlen(text));
    cr_assert_str_eq(bytes, text);
}

static bool is_quiet(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, 30) == 0;
}

Test(fault_proxy, without_rules_all_flows_and_the_end_too)
{
    struct ends ends = open_ends(&(struct fault_proxy_rules){0});
    check_flow(ends.client, ends.server, "request");
    check_flow(ends.server, ends.client, "a reply");
    struct fault_proxy_counts counts = fault_proxy_counts(ends.proxy);
    cr_assert_eq(counts.request_bytes, 7);
    cr_assert_eq(counts.reply_bytes, 7);
    cr_assert_eq(counts.accepted, 1);
    cr_assert_eq(counts.resets, 0);
    (void)shutdown(ends.client, SHUT_WR);
    char byte = 0;
    int error = 0;
    cr_assert_eq(take(ends.server, &byte, 1, &error), 0);
    cr_assert_eq(error, 0);
    check_flow(ends.server, ends.client, "more"); /* one half is still open */
    close_ends(&ends);
}

Test(fault_proxy, large_transfers_stay_whole)
{
    enum { LEN = 600 * 1000 };
    struct ends ends = open_ends(&(struct fault_proxy_rules){0});
    static char sent[LEN];
    static char received[LEN];
    for (size_t i = 0; i < LEN; i++)
        sent[i] = (char)(i * 7 + i / 251);
    int error = 0;
    size_t at = 0;
    for (size_t got = 0; got < LEN;) {
        size_t len = LEN - at < 8192 ? LEN - at : 8192;
        ssize_t put = len == 0 ? 0 : send(ends.client, sent + at, len, MSG_DONTWAIT);
        at += put > 0 ? (size_t)put : 0;
        size_t want = at - got < 4096 ? at - got : 4096;
        got += take(ends.server, received + got, want, &error);
    }
    cr_assert_eq(memcmp(sent, received, LEN), 0);
    close_ends(&ends);
}

Test(fault_proxy, one_way_or_both_are_held_and_flow_on)
{
    struct ends ends = open_ends(&(struct fault_proxy_rules){.hold_replies = true});
    check_flow(ends.client, ends.server, "request");
    cr_assert_eq(send(ends.server, "reply", 5, MSG_NOSIGNAL), 5);
    check_flow(ends.client, ends.server, "the other way flows");
    cr_assert(is_quiet(ends.client));
    fault_proxy_set(ends.proxy,
                    &(struct fault_proxy_rules){.hold_replies = true, .hold_requests = true});
    cr_assert_eq(send(ends.client, "again", 5, MSG_NOSIGNAL), 5);
    cr_assert(is_quiet(ends.server));
    fault_proxy_set(ends.proxy, &(struct fault_proxy_rules){0});
    char bytes[6] = {0};
    int error = 0;
    cr_assert_eq(take(ends.client, bytes, 5, &error), 5);
    cr_assert_str_eq(bytes, "reply");
    cr_assert_eq(take(ends.server, bytes, 5, &error), 5);
    cr_assert_str_eq(bytes, "again");
    close_ends(&ends);
}

Test(fault_proxy, a_reply_is_reset_in_its_middle)
{
    struct ends ends = open_ends(&(struct fault_proxy_rules){0});
    check_flow(ends.server, ends.client, "before");
    fault_proxy_set(ends.proxy, &(struct fault_proxy_rules){.reset_at_bytes = 4});
    cr_assert_eq(send(ends.server, "0123456789", 10, MSG_NOSIGNAL), 10);
    char bytes[16] = {0};
    int error = 0;
    cr_assert_eq(take(ends.client, bytes, 10, &error), 4);
    cr_assert_eq(error, ECONNRESET);
    cr_assert_str_eq(bytes, "0123");
    cr_assert_eq(take(ends.server, bytes, 1, &error), 0);
    cr_assert_eq(error, ECONNRESET);
    cr_assert_eq(fault_proxy_counts(ends.proxy).resets, 1);
    close_ends(&ends);
}

Test(fault_proxy, pieces_of_a_byte_and_delays)
{
    struct ends ends = open_ends(&(struct fault_proxy_rules){.piece_bytes = 1, .delay_ms = 5});
    char bytes[9] = {0};
    size_t got = 0;
    int reads = 0;
    cr_assert_eq(send(ends.server, "dribbled", 8, MSG_NOSIGNAL), 8);
    while (got < 8) {
        ssize_t n = recv(ends.client, bytes + got, 8 - got, 0);
        cr_assert_gt(n, 0);
        got += (size_t)n;
        reads++;
    }
    cr_assert_str_eq(bytes, "dribbled");
    cr_assert_gt(reads, 1); /* a slow test machine may see two pieces at once */
    close_ends(&ends);
}

Test(fault_proxy, cuts_end_reset_or_leave_half)
{
    char byte = 0;
    int error = 0;
    struct ends ends = open_ends(&(struct fault_proxy_rules){0});
    fault_proxy_cut_all(ends.proxy, FAULT_PROXY_CUT_CLOSE);
    cr_assert_eq(take(ends.client, &byte, 1, &error), 0);
    cr_assert_eq(error, 0);
    cr_assert_eq(fault_proxy_counts(ends.proxy).open, 0);
    close_ends(&ends);

    ends = open_ends(&(struct fault_proxy_rules){0});
    fault_proxy_cut_all(ends.proxy, FAULT_PROXY_CUT_RESET);
    cr_assert_eq(take(ends.client, &byte, 1, &error), 0);
    cr_assert_eq(error, ECONNRESET);
    close_ends(&ends);

    ends = open_ends(&(struct fault_proxy_rules){0});
    fault_proxy_cut_all(ends.proxy, FAULT_PROXY_CUT_HALF_OPEN);
    cr_assert_eq(take(ends.server, &byte, 1, &error), 0);
    cr_assert_eq(error, ECONNRESET);
    cr_assert_eq(send(ends.client, "lost", 4, MSG_NOSIGNAL), 4);
    cr_assert(is_quiet(ends.client));
    cr_assert_eq(fault_proxy_counts(ends.proxy).open, 1);
    close_ends(&ends);
}

static bool none_is_open(void *user) { return fault_proxy_counts(user).open == 0; }

Test(fault_proxy, a_half_open_connection_goes_with_its_client)
{
    struct ends ends = open_ends(&(struct fault_proxy_rules){0});
    fault_proxy_cut_all(ends.proxy, FAULT_PROXY_CUT_HALF_OPEN);
    (void)shutdown(ends.client, SHUT_WR);
    cr_assert(support_wait(none_is_open, ends.proxy, DEADLINE_MS));
    close_ends(&ends);
}

Test(fault_proxy, refused_connections_and_targets_that_are_not_there)
{
    char byte = 0;
    int error = 0;
    struct ends ends = open_ends(&(struct fault_proxy_rules){0});
    fault_proxy_set(ends.proxy, &(struct fault_proxy_rules){.refuse = true});
    int refused = connect_to(fault_proxy_port(ends.proxy));
    cr_assert_eq(take(refused, &byte, 1, &error), 0);
    cr_assert_eq(error, ECONNRESET);
    check_flow(ends.client, ends.server, "the older one lives");
    (void)close(refused);

    uint16_t dead_port = 0;
    (void)close(fault_link_listen(&dead_port));
    fault_proxy_set(ends.proxy, &(struct fault_proxy_rules){0});
    fault_proxy_retarget(ends.proxy, dead_port);
    int orphan = connect_to(fault_proxy_port(ends.proxy));
    cr_assert_eq(take(orphan, &byte, 1, &error), 0);
    cr_assert_eq(error, ECONNRESET);
    (void)close(orphan);
    cr_assert_eq(fault_proxy_counts(ends.proxy).accepted, 3);
    close_ends(&ends);
    fault_proxy_stop(NULL);
}
