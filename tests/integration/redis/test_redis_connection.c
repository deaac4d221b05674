/* One connection to a real server, straight and through the fault proxy. */
#include <criterion/criterion.h>

#include "connectors/redis/redis_command.h"
#include "connectors/redis/redis_connection.h"

#include <hiredis/hiredis.h>

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/fault_proxy.h"
#include "support/redis_server.h"

static struct redis_server redis;
static struct fault_proxy *proxy;
static struct redis_server_config config;
static struct redis_address address;
static struct redis_connection connection;
static strid_error err = STRID_ERROR_INIT;

static const char *const server_args[] = {"--user", "strid", "on",    ">canary-1",
                                          "~*",     "&*",    "+@all", NULL};

static void start(void)
{
    redis_server_start(&redis, &(struct redis_server_options){.args = server_args});
    proxy = fault_proxy_start(redis.port);
    config = (struct redis_server_config){.timeout_ms = 20000, .max_reply = 1 << 20};
}

static void stop(void)
{
    redis_connection_fini(&connection);
    redis_address_fini(&address);
    fault_proxy_stop(proxy);
    redis_server_remove(&redis);
}

TestSuite(redis_connection, .init = start, .fini = stop);

static strid_status try_connect(const char *login, uint16_t port)
{
    char target[128];
    (void)snprintf(target, sizeof target, "//%s127.0.0.1:%u/s", login, (unsigned)port);
    STRID_CHECK_OK(redis_address_parse(&address, "redis", target, &config, &err), err);
    redis_connection_init(&connection, &address, "a name");
    return redis_connection_open(&connection, &err);
}

static bool is_due(void *user)
{
    (void)user;
    return redis_connection_wait_ms(&connection) == 0;
}

/* Tries again when the backoff is over. */
static bool is_back(void *user)
{
    (void)user;
    return redis_connection_open(&connection, &err) == STRID_OK;
}

static redisReply *ask(const char *const *words)
{
    redisReply *reply = NULL;
    redis_command_put(&connection.out, words);
    STRID_CHECK_OK(redis_connection_next(&connection, &reply, &err), err);
    return reply;
}

#define ASK(...) ask((const char *const[]){__VA_ARGS__, NULL})

static void expect_text(redisReply *reply, const char *part)
{
    cr_assert(reply->str != NULL && strstr(reply->str, part) != NULL, "%s",
              reply->str == NULL ? "no text" : reply->str);
    redis_reply_free(reply);
}

Test(redis_connection, logs_in_with_user_database_and_name)
{
    config.database = 3;
    STRID_CHECK_OK(try_connect("strid:canary-1@", redis.port), err);
    expect_text(ASK("CLIENT", "INFO"), "name=a-name");
    expect_text(ASK("CLIENT", "INFO"), "db=3");
    expect_text(ASK("CLIENT", "INFO"), "user=strid");
    for (size_t i = 0; i + 6 <= connection.out.capacity; i++)
        cr_assert_neq(memcmp(connection.out.data + i, "canary", 6), 0, "the password lies about");
}

Test(redis_connection, speaks_over_a_unix_socket)
{
    config.socket = redis.socket;
    STRID_CHECK_OK(try_connect("", 1), err);
    expect_text(ASK("CLIENT", "INFO"), redis.socket);
}

Test(redis_connection, refused_login_tells_no_password)
{
    cr_assert_eq(try_connect("strid:canary-2@", redis.port), STRID_ECONFIG);
    cr_assert(strstr(err.message, "WRONGPASS") != NULL, "%s", err.message);
    cr_assert(strstr(err.message, "redis://127.0.0.1:") != NULL, "%s", err.message);
    cr_assert(strstr(err.message, "canary") == NULL, "%s", err.message);
}

Test(redis_connection, server_that_knows_no_login_tells_no_password)
{
    static const char *const args[] = {"--rename-command", "AUTH", "", NULL};
    struct redis_server other;
    redis_server_start(&other, &(struct redis_server_options){.args = args});
    cr_assert_eq(try_connect("strid:canary-3@", other.port), STRID_ECONFIG);
    cr_assert(strstr(err.message, "canary") == NULL, "%s", err.message);
    redis_server_remove(&other);
}

Test(redis_connection, unreachable_server_is_tried_again_after_a_pause)
{
    uint16_t port = server_free_port();
    cr_assert_eq(try_connect("", port), STRID_EUNREACHABLE);
    cr_assert(err.flags & STRID_ERROR_RETRIABLE);
    cr_assert(strstr(err.message, "Connection refused") != NULL, "%s", err.message);
    for (uint32_t failures = 1; failures <= 4; failures++) {
        cr_assert_eq(connection.retry.failures, failures);
        int64_t wait_ms = redis_connection_wait_ms(&connection);
        cr_assert(wait_ms >= 0 && wait_ms <= 1 + (50 << failures), "%ld", (long)wait_ms);
        cr_assert(support_wait(is_due, NULL, 10000));
        cr_assert_eq(redis_connection_open(&connection, &err), STRID_EUNREACHABLE);
    }
}

Test(redis_connection, pauses_are_bounded_and_spread)
{
    int64_t least = INT64_MAX, most = 0;
    uint16_t port = server_free_port();
    (void)try_connect("", port);
    for (int i = 0; i < 400; i++) {
        connection.retry.due_ns = 0;
        cr_assert_eq(redis_connection_open(&connection, &err), STRID_EUNREACHABLE);
        int64_t wait_ms = redis_connection_wait_ms(&connection);
        least = i > 20 && wait_ms < least ? wait_ms : least;
        most = wait_ms > most ? wait_ms : most;
    }
    cr_assert(most <= 5001 && most > 4000, "%ld", (long)most);
    cr_assert(least < 1000, "%ld", (long)least);
}

Test(redis_connection, comes_back_after_a_kill_of_the_server)
{
    STRID_CHECK_OK(try_connect("", redis.port), err);
    server_kill(&redis.process);
    redisReply *reply = NULL;
    redis_command_put(&connection.out, (const char *const[]){"PING", NULL});
    cr_assert_eq(redis_connection_next(&connection, &reply, &err), STRID_EUNREACHABLE);
    cr_assert(err.flags & STRID_ERROR_RETRIABLE);
    cr_assert(!connection.is_open);
    redis_server_restart(&redis);
    cr_assert(support_wait(is_back, NULL, 20000), "%s", err.message);
    expect_text(ASK("PING"), "PONG");
    expect_text(ASK("CLIENT", "INFO"), "name=a-name");
}

Test(redis_connection, writing_to_a_dead_server_raises_no_signal)
{
    STRID_CHECK_OK(try_connect("", fault_proxy_port(proxy)), err);
    fault_proxy_cut_all(proxy, FAULT_PROXY_CUT_RESET);
    redisReply *reply = NULL;
    for (int i = 0; i < 100000; i++)
        redis_command_put(&connection.out, (const char *const[]){"PING", NULL});
    cr_assert_eq(redis_connection_next(&connection, &reply, &err), STRID_EUNREACHABLE);
    fault_proxy_cut_all(proxy, FAULT_PROXY_CUT_CLOSE);
    cr_assert(support_wait(is_back, NULL, 20000), "%s", err.message);
    expect_text(ASK("PING"), "PONG");
}

/* The peer is gone for certain before the write: a pair, whose other end is closed. */
Test(redis_connection, write_to_a_closed_peer_raises_no_signal)
{
    int ends[2];
    size_t sent = 0;
    struct sigaction usual = {.sa_handler = SIG_DFL};
    cr_assert_eq(sigaction(SIGPIPE, &usual, NULL), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct redis_socket socket = {.fd = ends[0]};
    cr_assert_eq(close(ends[1]), 0);
    cr_assert_eq(redis_socket_send(&socket, "x", 1, &sent, &err), STRID_EUNREACHABLE);
    redis_socket_close(&socket);
}

Test(redis_connection, silence_ends_it_after_the_timeout)
{
    config.timeout_ms = 100;
    STRID_CHECK_OK(try_connect("", fault_proxy_port(proxy)), err);
    fault_proxy_set(proxy, &(struct fault_proxy_rules){.hold_replies = true});
    redisReply *reply = NULL;
    redis_command_put(&connection.out, (const char *const[]){"PING", NULL});
    cr_assert_eq(redis_connection_next(&connection, &reply, &err), STRID_EUNREACHABLE);
    cr_assert(strstr(err.message, "no answer for 100 ms") != NULL, "%s", err.message);
}

Test(redis_connection, reset_within_a_reply_ends_it)
{
    STRID_CHECK_OK(try_connect("", fault_proxy_port(proxy)), err);
    redis_reply_free(ASK("SET", "k", "0123456789"));
    fault_proxy_set(proxy, &(struct fault_proxy_rules){.reset_at_bytes = 8});
    redisReply *reply = NULL;
    redis_command_put(&connection.out, (const char *const[]){"GET", "k", NULL});
    cr_assert_eq(redis_connection_next(&connection, &reply, &err), STRID_EUNREACHABLE);
    cr_assert_null(reply);
    fault_proxy_set(proxy, &(struct fault_proxy_rules){0});
    cr_assert(support_wait(is_back, NULL, 20000), "%s", err.message);
    expect_text(ASK("GET", "k"), "0123456789");
}

Test(redis_connection, bytes_may_come_one_by_one)
{
    fault_proxy_set(proxy, &(struct fault_proxy_rules){.piece_bytes = 1});
    STRID_CHECK_OK(try_connect("", fault_proxy_port(proxy)), err);
    expect_text(ASK("ECHO", "0123456789"), "0123456789");
}

Test(redis_connection, pipelined_more_than_the_sockets_hold_is_answered_in_order)
{
    enum { COUNT = 200000 };
    STRID_CHECK_OK(try_connect("", redis.port), err);
    for (int i = 0; i < COUNT; i++)
        redis_command_put(&connection.out, (const char *const[]){"INCR", "n", NULL});
    for (long long i = 1; i <= COUNT; i++) {
        redisReply *reply = NULL;
        STRID_CHECK_OK(redis_connection_next(&connection, &reply, &err), err);
        cr_assert_eq(reply->integer, i);
        redis_reply_free(reply);
    }
    redisReply *reply = NULL;
    cr_assert_eq(redis_connection_poll(&connection, &reply, &err), STRID_AGAIN);
}

Test(redis_connection, reply_beyond_the_limit_ends_it)
{
    config.max_reply = 1024;
    STRID_CHECK_OK(try_connect("", redis.port), err);
    redis_reply_free(ASK("SETRANGE", "k", "100000", "x"));
    redisReply *reply = NULL;
    redis_command_put(&connection.out, (const char *const[]){"GET", "k", NULL});
    cr_assert_eq(redis_connection_next(&connection, &reply, &err), STRID_ELIMIT);
    cr_assert(!connection.is_open);
}
