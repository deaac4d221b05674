#include "redis_connection.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include "redis_command.h"

#include <hiredis/hiredis.h>

#include <stdio.h>
#include <string.h>

#define COMPONENT "redis"

enum {
    RECEIVE_BYTES = 256 * 1024,
    BACKOFF_MIN_MS = 50,
    BACKOFF_MAX_MS = 5000,
    NAME_MAX_BYTES = 64
};

static const int64_t ns_per_ms = 1000000, healthy_ns = INT64_C(30000000000);

/* A name of one's own, of what the server takes in one: printable, no space. */
static char *make_name(const char *wanted)
{
    char *name = memory_copy_text(wanted == NULL || wanted[0] == '\0' ? "strid" : wanted);
    if (strlen(name) > NAME_MAX_BYTES)
        name[NAME_MAX_BYTES] = '\0';
    for (char *at = name; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~')
            *at = '-';
    }
    return name;
}

void redis_connection_init(struct redis_connection *connection, const struct redis_address *address,
                           const char *name)
{
    *connection = (struct redis_connection){.address = address, .socket = {.fd = -1}};
    const char *configured = address->config->client;
    connection->name = make_name(configured == NULL ? name : configured);
    connection->in = memory_alloc(RECEIVE_BYTES);
    connection->retry.random = (uint64_t)clock_monotonic_ns(&clock_system) ^ (uintptr_t)connection;
}

void redis_connection_fini(struct redis_connection *connection)
{
    redis_connection_close(connection);
    redis_watch_destroy(connection->watch);
    buffer_fini(&connection->out);
    memory_free(connection->in);
    memory_free(connection->name);
    *connection = (struct redis_connection){.socket = {.fd = -1}};
}

void redis_connection_close(struct redis_connection *connection)
{
    if (!connection->is_open)
        return;
    redis_socket_close(&connection->socket);
    redis_replies_fini(&connection->replies);
    buffer_clear(&connection->out);
    connection->sent = 0;
    connection->is_open = false;
}

/* xorshift64*: to spread reconnections, nothing more. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state == 0 ? 1 : *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

/* Full jitter: anything up to a ceiling that doubles, so that clients do not come back at once. */
static void plan_retry(struct redis_connection *connection, const strid_error *err)
{
    uint32_t doubled = connection->retry.failures < 10 ? connection->retry.failures : 10;
    int64_t ceiling_ms = (int64_t)BACKOFF_MIN_MS << doubled;
    if (ceiling_ms > BACKOFF_MAX_MS)
        ceiling_ms = BACKOFF_MAX_MS;
    int64_t delay_ms = 1 + (int64_t)(next_random(&connection->retry.random) % (uint64_t)ceiling_ms);
    connection->retry.failures++;
    connection->retry.due_ns = clock_monotonic_ns(&clock_system) + delay_ms * ns_per_ms;
    connection->retry.last = *err;
}

/* Closes; a message of the socket gets the server's name. */
static strid_status broken(struct redis_connection *connection, strid_status status,
                           strid_error *err)
{
    strid_error kept = STRID_ERROR_INIT;
    if (err == NULL)
        kept.status = status;
    else {
        if (connection->master.shown[0] != '\0')
            (void)error_wrap(err, status, "%s", connection->master.shown);
        (void)error_wrap(err, status, "%s", connection->address->shown);
        kept = *err;
    }
    int64_t now_ns = clock_monotonic_ns(&clock_system);
    if (now_ns - connection->retry.opened_ns > healthy_ns)
        connection->retry.failures = 0;
    redis_connection_close(connection);
    plan_retry(connection, &kept);
    return status;
}

strid_status redis_connection_fail(struct redis_connection *connection, strid_status status,
                                   strid_error *err)
{
    return broken(connection, status, err);
}

int64_t redis_connection_wait_ms(const struct redis_connection *connection)
{
    int64_t left_ns = connection->retry.due_ns - clock_monotonic_ns(&clock_system);
    return connection->is_open || left_ns <= 0 ? 0 : (left_ns + ns_per_ms - 1) / ns_per_ms;
}

static strid_status send_waiting(struct redis_connection *connection, bool *moved, strid_error *err)
{
    while (connection->sent < connection->out.len) {
        size_t sent = 0;
        strid_status status =
            redis_socket_send(&connection->socket, connection->out.data + connection->sent,
                              connection->out.len - connection->sent, &sent, err);
        if (status == STRID_AGAIN)
            return STRID_OK;
        if (status != STRID_OK)
            return status;
        *moved = true;
        connection->sent += sent;
    }
    buffer_clear(&connection->out);
    connection->sent = 0;
    return STRID_OK;
}

static strid_status receive_some(struct redis_connection *connection, bool *moved, strid_error *err)
{
    size_t received = 0;
    strid_status status =
        redis_socket_receive(&connection->socket, connection->in, RECEIVE_BYTES, &received, err);
    if (status == STRID_AGAIN)
        return STRID_OK;
    if (status != STRID_OK)
        return status;
    *moved = true;
    return redis_replies_feed(&connection->replies, connection->in, received, err);
}

/* One round; STRID_AGAIN: no reply yet. Does not close. */
static strid_status step(struct redis_connection *connection, struct redisReply **out, bool *moved,
                         strid_error *err)
{
    strid_status status = redis_replies_next(&connection->replies, out, err);
    if (status != STRID_AGAIN)
        return status;
    STRID_TRY(send_waiting(connection, moved, err));
    STRID_TRY(receive_some(connection, moved, err));
    return *moved ? redis_replies_next(&connection->replies, out, err) : STRID_AGAIN;
}

static strid_status next_reply(struct redis_connection *connection, struct redisReply **out,
                               strid_error *err)
{
    for (;;) {
        bool moved = false;
        strid_status status = step(connection, out, &moved, err);
        if (status != STRID_AGAIN)
            return status;
        bool to_send = connection->sent < connection->out.len;
        int64_t timeout_ms = connection->address->config->timeout_ms;
        if (moved || redis_socket_wait(&connection->socket, to_send, timeout_ms))
            continue;
        (void)error_set(err, STRID_EUNREACHABLE, COMPONENT, "no answer for %lld ms",
                        (long long)timeout_ms);
        if (err != NULL)
            err->flags |= STRID_ERROR_RETRIABLE;
        return STRID_EUNREACHABLE;
    }
}

/* The server's text of a refused login may repeat what was sent: its first word alone is told. */
static strid_status check_login(const struct redisReply *reply, strid_error *err)
{
    if (reply->type != REDIS_REPLY_ERROR || redis_reply_is_full(reply))
        return redis_reply_check(reply, "AUTH", err);
    return error_set(err, STRID_ECONFIG, COMPONENT,
                     "the login is refused (%.*s): check user and password",
                     (int)strcspn(reply->str, " "), reply->str);
}

static strid_status ask(struct redis_connection *connection, bool is_login, const char *what,
                        strid_error *err)
{
    struct redisReply *reply = NULL;
    strid_status status = next_reply(connection, &reply, err);
    if (status == STRID_OK)
        status = is_login ? check_login(reply, err) : redis_reply_check(reply, what, err);
    redis_reply_free(reply);
    return status;
}

static strid_status log_in(struct redis_connection *connection, strid_error *err)
{
    const struct redis_address *address = connection->address;
    struct buffer *out = &connection->out;
    if (address->password != NULL) {
        redis_command_begin(out, address->user == NULL ? 2 : 3);
        redis_command_text(out, "AUTH");
        if (address->user != NULL)
            redis_command_text(out, address->user);
        redis_command_text(out, address->password);
        strid_status status = ask(connection, true, "AUTH", err);
        explicit_bzero(out->data, out->capacity);
        STRID_TRY(status);
    }
    if (address->is_sentinel)
        return STRID_OK;
    if (address->config->database != 0) {
        redis_command_begin(out, 2);
        redis_command_text(out, "SELECT");
        redis_command_number(out, (uint64_t)address->config->database);
        STRID_TRY(ask(connection, false, "SELECT", err));
    }
    redis_command_put(out, (const char *const[]){"CLIENT", "SETNAME", connection->name, NULL});
    return ask(connection, false, "CLIENT SETNAME", err);
}

/* A sentinel that was away may name a server that is the master no longer. */
static strid_status check_role(struct redis_connection *connection, strid_error *err)
{
    struct redisReply *reply = NULL;
    if (connection->address->master == NULL)
        return STRID_OK;
    redis_command_put(&connection->out, (const char *const[]){"ROLE", NULL});
    STRID_TRY(next_reply(connection, &reply, err));
    strid_status status = redis_reply_check(reply, "ROLE", err);
    if (status == STRID_OK &&
        (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
         !strid_bytes_equal(redis_reply_bytes(reply->element[0]), strid_bytes_of_text("master")))) {
        redis_sentinel_doubt(connection->address, &connection->master);
        status = error_set(err, STRID_EUNREACHABLE, COMPONENT,
                           "it is no master, though a sentinel says so; they are asked again");
        err->flags |= STRID_ERROR_RETRIABLE;
    }
    redis_reply_free(reply);
    return status;
}

static strid_status open_socket(struct redis_connection *connection, strid_error *err)
{
    struct redis_address server = *connection->address; /* borrowed: what it points to stays */
    if (server.master == NULL)
        return redis_socket_open(&connection->socket, &server, err);
    connection->master.shown[0] = '\0';
    strid_status status = redis_sentinel_find(connection->address, &connection->master, err);
    if (status == STRID_OK) {
        server.host = connection->master.host;
        server.port = connection->master.port;
        server.shown = connection->master.shown;
        status = redis_socket_open(&connection->socket, &server, err);
    }
    return status == STRID_OK ? status : error_wrap(err, status, "%s", connection->address->shown);
}

static void begin_watch(struct redis_connection *connection)
{
    if (connection->address->master == NULL)
        return;
    if (connection->watch == NULL)
        connection->watch = redis_watch_create(connection->address);
    redis_watch_begin(connection->watch, &connection->master);
}

/* The server may go on answering for a while as if nothing had happened. */
static bool is_left(struct redis_connection *connection, bool is_patient)
{
    return connection->watch != NULL &&
           redis_watch_is_elsewhere(connection->watch, &connection->master, is_patient);
}

strid_status redis_connection_open(struct redis_connection *connection, strid_error *err)
{
    if (connection->is_open && !is_left(connection, true))
        return STRID_OK;
    if (connection->is_open) { /* nothing has failed: no backoff */
        redis_connection_close(connection);
        connection->retry.due_ns = 0;
    }
    if (redis_connection_wait_ms(connection) > 0) {
        if (err != NULL)
            *err = connection->retry.last;
        return connection->retry.last.status;
    }
    strid_error own = STRID_ERROR_INIT;
    strid_error *told = err == NULL ? &own : err;
    strid_status status = open_socket(connection, told);
    if (status != STRID_OK) {
        plan_retry(connection, told);
        return status;
    }
    redis_replies_init(&connection->replies, connection->address->config->max_reply);
    connection->is_open = true;
    connection->retry.opened_ns = clock_monotonic_ns(&clock_system);
    status = log_in(connection, told);
    if (status == STRID_OK)
        status = check_role(connection, told);
    if (status != STRID_OK)
        return broken(connection, status, told);
    begin_watch(connection);
    return STRID_OK;
}

static strid_status leave(struct redis_connection *connection, strid_error *err)
{
    strid_error own = STRID_ERROR_INIT;
    err = err == NULL ? &own : err;
    (void)error_set(err, STRID_EUNREACHABLE, COMPONENT,
                    "the sentinels name another master now: it is left");
    err->flags |= STRID_ERROR_RETRIABLE;
    return broken(connection, STRID_EUNREACHABLE, err);
}

strid_status redis_connection_send(struct redis_connection *connection, strid_error *err)
{
    STRID_ASSERT(connection->is_open);
    bool moved = false;
    strid_status status = send_waiting(connection, &moved, err);
    connection->moves += moved ? 1 : 0;
    return status == STRID_OK ? status : broken(connection, status, err);
}

strid_status redis_connection_poll(struct redis_connection *connection, struct redisReply **out,
                                   strid_error *err)
{
    STRID_ASSERT(connection->is_open);
    bool moved = false;
    if (is_left(connection, false))
        return leave(connection, err);
    strid_status status = step(connection, out, &moved, err);
    connection->moves += moved ? 1 : 0;
    return status == STRID_OK || status == STRID_AGAIN ? status : broken(connection, status, err);
}

strid_status redis_connection_next(struct redis_connection *connection, struct redisReply **out,
                                   strid_error *err)
{
    STRID_ASSERT(connection->is_open);
    strid_status status = next_reply(connection, out, err);
    return status == STRID_OK ? status : broken(connection, status, err);
}
