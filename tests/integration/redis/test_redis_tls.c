/* rediss: against a server with a certificate for "localhost" of an authority of its own. */
#include <criterion/criterion.h>

#include "connectors/redis/redis_command.h"
#include "connectors/redis/redis_connection.h"

#include "connectors/redis/redis_tls.h"

#include <hiredis/hiredis.h>
#include <openssl/ssl.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/fault_proxy.h"
#include "support/redis_server.h"

static struct redis_server redis;
static struct redis_server_config config;
static struct redis_address address;
static struct redis_connection connection;
static strid_error err = STRID_ERROR_INIT;

static void start(void)
{
    redis_server_start(&redis, &(struct redis_server_options){.has_tls = true});
    config = (struct redis_server_config){
        .timeout_ms = 20000, .max_reply = 1 << 20, .ca = redis.cert, .verify = true};
}

static void stop(void)
{
    redis_connection_fini(&connection);
    redis_address_fini(&address);
    redis_server_remove(&redis);
}

TestSuite(redis_tls, .init = start, .fini = stop);

static strid_status try_connect(const char *host, uint16_t at)
{
    char target[64];
    (void)snprintf(target, sizeof target, "//%s:%u/s", host, (unsigned)at);
    STRID_CHECK_OK(redis_address_parse(&address, "rediss", target, &config, &err), err);
    redis_connection_init(&connection, &address, "tls");
    return redis_connection_open(&connection, &err);
}

static void expect_pongs(int count)
{
    for (int i = 0; i < count; i++)
        redis_command_put(&connection.out, (const char *const[]){"PING", NULL});
    for (int i = 0; i < count; i++) {
        redisReply *reply = NULL;
        STRID_CHECK_OK(redis_connection_next(&connection, &reply, &err), err);
        cr_assert_str_eq(reply->str, "PONG");
        redis_reply_free(reply);
    }
}

Test(redis_tls, trusted_server_is_spoken_to)
{
    STRID_CHECK_OK(try_connect("localhost", redis.tls_port), err);
    expect_pongs(50000);
}

Test(redis_tls, certificate_for_another_name_is_refused)
{
    cr_assert_eq(try_connect("127.0.0.1", redis.tls_port), STRID_ECONFIG);
    cr_assert(strstr(err.message, "not trusted") != NULL, "%s", err.message);
}

Test(redis_tls, unknown_authority_is_refused)
{
    config.ca = NULL;
    cr_assert_eq(try_connect("localhost", redis.tls_port), STRID_ECONFIG);
    cr_assert(strstr(err.message, "self-signed certificate") != NULL, "%s", err.message);
    cr_assert(!connection.is_open);
}

Test(redis_tls, checks_can_be_turned_off)
{
    config.ca = NULL;
    config.verify = false;
    STRID_CHECK_OK(try_connect("127.0.0.1", redis.tls_port), err);
    expect_pongs(1);
}

Test(redis_tls, missing_files_are_refused)
{
    config.ca = "/nowhere/ca.pem";
    cr_assert_eq(try_connect("localhost", redis.tls_port), STRID_ECONFIG);
    cr_assert(strstr(err.message, "\"ca\"") != NULL, "%s", err.message);
}

Test(redis_tls, server_without_tls_is_no_endless_wait)
{
    config.timeout_ms = 300;
    cr_assert_neq(try_connect("localhost", redis.port), STRID_OK);
    cr_assert(!connection.is_open);
}

Test(redis_tls, reset_raises_no_signal_and_is_told)
{
    struct fault_proxy *proxy = fault_proxy_start(redis.tls_port);
    STRID_CHECK_OK(try_connect("localhost", fault_proxy_port(proxy)), err);
    expect_pongs(1);
    fault_proxy_cut_all(proxy, FAULT_PROXY_CUT_RESET);
    redisReply *reply = NULL;
    for (int i = 0; i < 100000; i++)
        redis_command_put(&connection.out, (const char *const[]){"PING", NULL});
    cr_assert_eq(redis_connection_next(&connection, &reply, &err), STRID_EUNREACHABLE);
    cr_assert(err.flags & STRID_ERROR_RETRIABLE);
    fault_proxy_stop(proxy);
}

/* The server's end of a connection, which keeps what name was asked for (SNI). */
struct asked {
    SSL_CTX *context;
    SSL *ssl;
    int fds[2]; /* the client's, the server's */
};

static void begin_asked(struct asked *asked)
{
    asked->context = SSL_CTX_new(TLS_server_method());
    cr_assert_eq(SSL_CTX_use_certificate_chain_file(asked->context, redis.cert), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey_file(asked->context, redis.key, SSL_FILETYPE_PEM), 1);
    asked->ssl = SSL_new(asked->context);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, asked->fds), 0);
    SSL_set_fd(asked->ssl, asked->fds[1]);
    SSL_set_accept_state(asked->ssl);
}

static void end_asked(struct asked *asked)
{
    SSL_free(asked->ssl);
    SSL_CTX_free(asked->context);
    for (int i = 0; i < 2; i++)
        (void)close(asked->fds[i]);
}

struct shaking {
    struct asked *asked;
    struct redis_tls *tls;
    strid_status status;
};

static bool is_shaken(void *user)
{
    struct shaking *shaking = user;
    (void)SSL_do_handshake(shaking->asked->ssl);
    shaking->status = redis_tls_handshake(shaking->tls, &err);
    return shaking->status != STRID_AGAIN &&
           (shaking->status != STRID_OK || SSL_is_init_finished(shaking->asked->ssl) == 1);
}

static struct shaking shake(struct asked *asked, const char *host)
{
    struct redis_address to = {.config = &config, .host = (char *)(uintptr_t)host, .shown = "it"};
    begin_asked(asked);
    struct shaking shaking = {asked, redis_tls_create(asked->fds[0], &to, &err), STRID_AGAIN};
    cr_assert_not_null(shaking.tls, "%s", err.message);
    cr_assert(support_wait(is_shaken, &shaking, 20000));
    return shaking;
}

static void expect_asked(const char *host, const char *name)
{
    struct asked asked;
    config.verify = strcmp(host, "localhost") == 0;
    const struct shaking shaking = shake(&asked, host);
    cr_assert_eq(shaking.status, STRID_OK, "%s", err.message);
    const char *told = SSL_get_servername(asked.ssl, TLSEXT_NAMETYPE_host_name);
    cr_assert_eq(told == NULL, name == NULL);
    if (name != NULL)
        cr_assert_str_eq(told, name);
    redis_tls_destroy(shaking.tls);
    end_asked(&asked);
}

Test(redis_tls, name_is_told_to_the_server_and_an_address_is_none)
{
    expect_asked("localhost", "localhost");
    expect_asked("127.0.0.1", NULL);
}

/* Trusted, but somebody else's. */
Test(redis_tls, certificate_of_another_host_is_refused)
{
    struct asked asked;
    const struct shaking shaking = shake(&asked, "elsewhere.test");
    cr_assert_eq(shaking.status, STRID_ECONFIG, "%s", err.message);
    cr_assert(strstr(err.message, "not trusted: hostname mismatch") != NULL, "%s", err.message);
    redis_tls_destroy(shaking.tls);
    end_asked(&asked);
}

Test(redis_tls, write_to_a_closed_peer_raises_no_signal)
{
    struct asked asked;
    size_t sent = 0;
    const struct shaking shaking = shake(&asked, "localhost");
    cr_assert_eq(shaking.status, STRID_OK, "%s", err.message);
    (void)close(asked.fds[1]);
    asked.fds[1] = -1;
    cr_assert_eq(redis_tls_send(shaking.tls, "PING\r\n", 6, &sent, &err), STRID_EUNREACHABLE);
    redis_tls_destroy(shaking.tls);
    end_asked(&asked);
}
