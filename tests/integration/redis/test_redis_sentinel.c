/* A master that sentinels name, and that is another one after a failover: real servers, a real
 * sentinel. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "support/sentinel_server.h"

#include "redis_case.h"

static struct sentinel_server sentinel, second; /* `second` only where a test starts it */
static struct redis_server other;               /* the master's replica, or a server of its own */
static struct opened_sink sink;

static void name_sentinels(const char *login)
{
    (void)snprintf(redis_case.base, sizeof redis_case.base,
                   "redis+sentinel://%s127.0.0.1:%u,127.0.0.1:%u/main/", login,
                   (unsigned)server_free_port(), (unsigned)sentinel.port);
}

/* The first sentinel that is named is always one that is down. */
static void start(void)
{
    static const char *const user[] = {"--user",
                                       "strid",
                                       "on",
                                       ">canary-1",
                                       "~*",
                                       "+@all",
                                       "--repl-diskless-sync-delay",
                                       "0",
                                       "--repl-ping-replica-period",
                                       "1",
                                       NULL};
    redis_case_start(&(struct redis_server_options){.args = user});
    sentinel_server_start(&sentinel, &redis_case.server);
    name_sentinels("");
}

static void stop(void)
{
    sentinel_server_remove(&sentinel);
    sentinel_server_remove(&second);
    redis_server_remove(&other);
    redis_case_stop();
}

TestSuite(redis_sentinel, .init = start, .fini = stop);

/* What the tests ask from now on is the other server. */
static void swap_servers(void)
{
    struct redis_server kept = redis_case.server;
    redis_case.server = other;
    other = kept;
}

Test(redis_sentinel, master_is_named_by_the_next_sentinel_where_one_is_down)
{
    char url[512];
    redis_case_add("s", 0, 20);
    name_sentinels("strid:canary-1@");
    redis_case_open(0, "s?group=g&field=value&sentinel_user=strid&sentinel_password=canary-s");
    redis_case_poll_until(0, 20);
    cr_assert(strstr(ASK("CLIENT", "LIST"), "user=strid") != NULL);
    redis_case_ack(0, 0);
    redis_case_confirm(0, 20);
    STRID_CHECK_OK(redis_case.sources[0].ops->dlq_url(redis_case.sources[0].self, url, sizeof url),
                   redis_case.err);
    STRID_CHECK_OK(sink_open_url(&sink, url, &redis_case.err), redis_case.err);
    cr_assert(strstr(sink.at.url, "canary") == NULL, "%s", sink.at.url);
    strid_output output = {.value = strid_bytes_of_text("v")};
    STRID_CHECK_OK(sink.ops->write(sink.self, &output, 1, &redis_case.err), redis_case.err);
    STRID_CHECK_OK(sink.ops->flush(sink.self, &redis_case.err), redis_case.err);
    sink_close(&sink);
    cr_assert_str_eq(ASK("XLEN", "s-dlq"), ":1\r\n");
}

static strid_status try_assign(const char *rest)
{
    STRID_CHECK_OK(redis_case_try_open(0, rest), redis_case.err);
    return source_assign_at(&redis_case.sources[0], 0, NULL, strid_bytes_of(NULL, 0),
                            &redis_case.err);
}

Test(redis_sentinel, wrong_password_of_a_sentinel_is_told_without_it)
{
    const char *rest = "s?group=g&attempts=1&sentinel_user=strid&sentinel_password=canary-wrong";
    cr_assert_eq(try_assign(rest), STRID_ECONFIG);
    cr_assert(strstr(redis_case.err.message, "WRONGPASS") != NULL, "%s", redis_case.err.message);
    cr_assert(strstr(redis_case.err.message, "canary") == NULL, "%s", redis_case.err.message);
}

Test(redis_sentinel, master_that_no_sentinel_knows_is_told)
{
    (void)snprintf(redis_case.base, sizeof redis_case.base, "redis+sentinel://127.0.0.1:%u/nobody/",
                   (unsigned)sentinel.port);
    cr_assert_eq(try_assign("s?group=g&attempts=2&attempt_delay=1ms"), STRID_EUNREACHABLE);
    cr_assert(strstr(redis_case.err.message, "knows no master") != NULL, "%s",
              redis_case.err.message);
    cr_assert(strstr(redis_case.err.message, "nobody") != NULL, "%s", redis_case.err.message);
}

static void start_other(void)
{
    static const char *const delays[] = {"--repl-ping-replica-period", "1", NULL};
    redis_server_start(&other, &(struct redis_server_options){.args = delays});
}

Test(redis_sentinel, server_that_is_no_master_is_not_used)
{
    start_other();
    redis_case_add("s", 0, 10);
    swap_servers();
    (void)ASK("REPLICAOF", "127.0.0.1", "1"); /* nobody is there */
    swap_servers();
    sentinel_server_move(&sentinel, other.port);
    cr_assert_eq(try_assign("s?group=g&field=value&attempts=3&attempt_delay=100ms"),
                 STRID_EUNREACHABLE);
    cr_assert(strstr(redis_case.err.message, "is no master") != NULL, "%s", redis_case.err.message);
    sentinel_server_move(&sentinel, redis_case.server.port);
    redis_case_assign(0, NULL);
    redis_case_poll_until(0, 10);
}

/* A second one that knows the same master. */
static void start_second(void)
{
    sentinel_server_start(&second, &redis_case.server);
    (void)snprintf(redis_case.base, sizeof redis_case.base,
                   "redis+sentinel://127.0.0.1:%u,127.0.0.1:%u/main/", (unsigned)sentinel.port,
                   (unsigned)second.port);
}

/* The first one that is named has not heard of it yet. */
Test(redis_sentinel, master_that_only_another_sentinel_knows_is_found)
{
    start_other();
    start_second();
    redis_case_add("s", 0, 10);
    swap_servers();
    (void)ASK("REPLICAOF", "127.0.0.1", "1");
    swap_servers();
    sentinel_server_move(&sentinel, other.port);
    redis_case_open(0, "s?group=g&field=value&attempts=3&attempt_delay=1ms");
    redis_case_poll_until(0, 10);
}

/* It went with the master's host, say. */
Test(redis_sentinel, another_sentinel_is_asked_where_the_one_that_was_is_gone)
{
    start_other();
    start_second();
    redis_case_add("s", 0, 10);
    redis_case_open(0, "s?group=g&field=value&block=10ms&timeout=2s");
    redis_case_poll_until(0, 10);
    server_kill(&sentinel.process);
    sentinel_server_move(&second, other.port); /* a master as well */
    redis_case_poll_logged(0, "name another master now");
}

static bool is_attached(void *user)
{
    (void)user;
    return strcmp(ASK("WAIT", "1", "100"), ":1\r\n") == 0;
}

static bool is_seen(void *user)
{
    (void)user;
    return sentinel_server_says(&sentinel, "master-link-status\nok",
                                (const char *const[]){"SENTINEL", "REPLICAS", "main", NULL});
}

static bool is_promoted(void *user)
{
    redis_case_poll(0);
    return sentinel_server_says(
        &sentinel, user,
        (const char *const[]){"SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main", NULL});
}

static void replicate(void)
{
    char port[16];
    (void)snprintf(port, sizeof port, "%u", (unsigned)redis_case.server.port);
    start_other();
    swap_servers();
    (void)ASK("REPLICAOF", "127.0.0.1", port);
    swap_servers();
    cr_assert(support_wait(is_attached, NULL, REDIS_CASE_DEADLINE_MS));
    sentinel_server_move(&sentinel, redis_case.server.port); /* it looks at once, not in 10 s */
    cr_assert(support_wait(is_seen, NULL, REDIS_CASE_DEADLINE_MS));
}

static void expect_other_is_master(void)
{
    char port[16];
    (void)snprintf(port, sizeof port, "%u", (unsigned)other.port);
    cr_assert(support_wait(is_promoted, port, REDIS_CASE_DEADLINE_MS));
    swap_servers();
}

Test(redis_sentinel, master_that_is_killed_is_replaced_and_nothing_replicated_is_lost)
{
    redis_case_add("s", 0, 100);
    redis_case_open(0, "s?group=g&field=value&count=50&block=10ms&timeout=2s");
    redis_case_poll_until(0, 50);
    replicate();
    server_kill(&redis_case.server.process);
    expect_other_is_master();
    redis_case_add("s", 100, 50);
    redis_case_poll_all(0, 150);
    redis_case_ack(0, 0);
    redis_case_confirm(0, redis_case.intakes[0].count);
    cr_assert_not(redis_case_has_logged("ran backwards"));
    cr_assert_not(redis_case_has_logged("is made again"));
}

static bool failover_begins(void *user)
{
    (void)user;
    redis_case_poll(0);
    return sentinel_server_says(&sentinel, "OK",
                                (const char *const[]){"SENTINEL", "FAILOVER", "main", NULL});
}

/* What the sink writes has arrived at the server that the tests ask. */
static bool is_written(void *user)
{
    char before[32];
    const strid_output output = {.value = strid_bytes_of_text("v")};
    (void)snprintf(before, sizeof before, "%s", ASK("XLEN", user));
    (void)sink.ops->write(sink.self, &output, 1, &redis_case.err);
    (void)sink.ops->flush(sink.self, &redis_case.err);
    return strcmp(ASK("XLEN", user), before) != 0;
}

static bool is_polled_until(void *user)
{
    uint64_t *until_ns = user;
    redis_case_poll(0);
    return (uint64_t)clock_monotonic_ns(&clock_system) > *until_ns;
}

/* For some ten seconds nobody tells the old master: it answers as before, and what is added to it
 * goes when it becomes a replica. */
Test(redis_sentinel, failover_that_was_asked_for_is_followed_while_the_old_master_goes_on)
{
    char port[16], url[192];
    redis_case_add("s", 0, 20);
    redis_case_open(0, "s?group=g&field=value&block=10ms&timeout=2s");
    redis_case_poll_until(0, 20);
    (void)snprintf(url, sizeof url, "%sout", redis_case.base);
    STRID_CHECK_OK(sink_open_url(&sink, url, &redis_case.err), redis_case.err);
    /* By then it asks, and nobody looks at the answer before the failover. */
    uint64_t until_ns = (uint64_t)clock_monotonic_ns(&clock_system) + UINT64_C(700000000);
    cr_assert(support_wait(is_polled_until, &until_ns, REDIS_CASE_DEADLINE_MS));
    cr_assert(is_written("out"));
    until_ns = (uint64_t)clock_monotonic_ns(&clock_system) + UINT64_C(1500000000);
    replicate();
    cr_assert(support_wait(failover_begins, NULL, REDIS_CASE_DEADLINE_MS));
    (void)snprintf(port, sizeof port, "%u", (unsigned)other.port);
    cr_assert(support_wait(is_promoted, port, REDIS_CASE_DEADLINE_MS));
    swap_servers();
    redis_case_add("s", 20, 20);
    redis_case_poll_all(0, 40);
    cr_assert(redis_case_has_logged("name another master now"));
    cr_assert(support_wait(is_polled_until, &until_ns, REDIS_CASE_DEADLINE_MS));
    cr_assert(is_written("out"), "a sink that was idle for a second makes sure");
    sink_close(&sink);
    swap_servers();
    cr_assert(strstr(ASK("ROLE"), "master") != NULL, "all that came before it was told");
    swap_servers();
}

static bool is_sentinel_away(void *user)
{
    (void)user;
    redis_case_poll(0);
    return !sentinel_server_says(&sentinel, "PONG", (const char *const[]){"PING", NULL});
}

/* Reading does not depend on the sentinels, as long as the master answers. */
Test(redis_sentinel, sentinels_that_are_all_away_disturb_nothing)
{
    redis_case_add("s", 0, 20);
    redis_case_open(0, "s?group=g&field=value&block=10ms&timeout=2s");
    redis_case_poll_until(0, 20);
    server_kill(&sentinel.process);
    cr_assert(support_wait(is_sentinel_away, NULL, REDIS_CASE_DEADLINE_MS));
    /* it asks twice a second */
    uint64_t until_ns = (uint64_t)clock_monotonic_ns(&clock_system) + UINT64_C(1500000000);
    cr_assert(support_wait(is_polled_until, &until_ns, REDIS_CASE_DEADLINE_MS));
    redis_case_add("s", 20, 20);
    redis_case_poll_until(0, 40);
    cr_assert_eq(redis_case.intakes[0].count, 40u, "nothing comes twice");
    cr_assert_eq(redis_case.logged.len, 0u, "%.*s", (int)redis_case.logged.len,
                 (const char *)redis_case.logged.data);
}

/* The old master lives on as a replica, which refuses what writes. (The sentinel makes it one only
 * after some ten seconds; the test does at once.) */
Test(redis_sentinel, master_that_becomes_a_replica_is_left)
{
    char port[16];
    redis_case_add("s", 0, 20);
    redis_case_open(0, "s?group=g&field=value&block=10ms&timeout=2s");
    redis_case_poll_until(0, 20);
    replicate();
    cr_assert(support_wait(failover_begins, NULL, REDIS_CASE_DEADLINE_MS));
    (void)snprintf(port, sizeof port, "%u", (unsigned)other.port);
    cr_assert(support_wait(is_promoted, port, REDIS_CASE_DEADLINE_MS));
    (void)ASK("REPLICAOF", "127.0.0.1", port);
    swap_servers();
    redis_case_add("s", 20, 20);
    redis_case_poll_all(0, 40);
}

/* As a failover to a replica that had not got the last writes: what it has lost is told. */
Test(redis_sentinel, master_without_the_last_writes_is_told)
{
    start_other();
    swap_servers();
    (void)ASK("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM");
    redis_case_add("s", 0, 10);
    swap_servers();
    redis_case_add("s", 0, 30);
    redis_case_open(0, "s?group=g&field=value&block=10ms&timeout=2s");
    redis_case_poll_until(0, 30);
    sentinel_server_move(&sentinel, other.port);
    server_kill(&redis_case.server.process);
    swap_servers();
    redis_case_poll_logged(0, "ran backwards");
    redis_case_add("s", 30, 10);
    redis_case_poll_all(0, 40);
}

static bool is_acknowledged(void *user)
{
    (void)user;
    redis_case_poll(0);
    return strncmp(ASK("XPENDING", "s", "g"), "*4\r\n:0\r\n", 8) == 0;
}

/* The replica had the entries and their delivery. No server shows that more had happened. */
Test(redis_sentinel, acknowledgement_that_the_new_master_has_not_got_comes_again)
{
    start_other();
    swap_servers();
    redis_case_add("s", 0, 10);
    (void)ASK("XGROUP", "CREATE", "s", "g", "0");
    (void)ASK("XREADGROUP", "GROUP", "g", "a", "STREAMS", "s", ">");
    (void)ASK("XGROUP", "CREATECONSUMER", "s", "g", "a:mark");
    swap_servers();
    redis_case_add("s", 0, 10);
    redis_case_open(0, "s?group=g&field=value&block=10ms&timeout=2s&consumer=a");
    redis_case_poll_until(0, 10);
    redis_case_ack(0, 0);
    cr_assert(support_wait(is_acknowledged, NULL, REDIS_CASE_DEADLINE_MS));
    sentinel_server_move(&sentinel, other.port);
    server_kill(&redis_case.server.process);
    swap_servers();
    redis_case_poll_until(0, 20);
    cr_assert_not(redis_case_has_logged("ran backwards"));
    cr_assert_not(redis_case_has_logged("again"));
}

static void start_tls(void)
{
    redis_case_start(&(struct redis_server_options){.has_tls = true});
    sentinel_server_start(&sentinel, &redis_case.server);
    (void)snprintf(redis_case.base, sizeof redis_case.base,
                   "rediss+sentinel://localhost:%u,localhost:%u/main/",
                   (unsigned)server_free_port(), (unsigned)sentinel.tls_port);
}

TestSuite(redis_sentinel_tls, .init = start_tls, .fini = stop);

Test(redis_sentinel_tls, sentinels_and_their_master_are_reached)
{
    char url[SUPPORT_PATH_MAX + 512];
    redis_case_add("s", 0, 20);
    redis_case_open(0, "s?group=g&field=value&sentinel_user=strid&sentinel_password=canary-s");
    redis_case_poll_until(0, 20);
    redis_case_ack(0, 0);
    redis_case_confirm(0, 20);
    STRID_CHECK_OK(redis_case.sources[0].ops->dlq_url(redis_case.sources[0].self, url, sizeof url),
                   redis_case.err);
    STRID_CHECK_OK(sink_open_url(&sink, url, &redis_case.err), redis_case.err);
    cr_assert(is_written("s-dlq"));
    sink_close(&sink);
}

Test(redis_sentinel_tls, sentinel_of_an_unknown_authority_is_refused)
{
    redis_case.options[0] = '\0'; /* no "ca" */
    cr_assert_eq(try_assign("s?group=g&attempts=1"), STRID_ECONFIG);
    cr_assert(strstr(redis_case.err.message, "not trusted") != NULL, "%s", redis_case.err.message);
    cr_assert(strstr(redis_case.err.message, "sentinel localhost") != NULL, "%s",
              redis_case.err.message);
}

Test(redis_sentinel_tls, sentinel_without_tls_is_told)
{
    (void)snprintf(redis_case.base, sizeof redis_case.base, "rediss+sentinel://localhost:%u/main/",
                   (unsigned)sentinel.port);
    cr_assert_eq(try_assign("s?group=g&attempts=1&timeout=2s&block=1s"), STRID_EUNREACHABLE);
    cr_assert(strstr(redis_case.err.message, "TLS") != NULL, "%s", redis_case.err.message);
}
