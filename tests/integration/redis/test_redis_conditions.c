/* Servers that are there and refuse: out of memory, loading, a replica. They are waited for, told
 * once, and nothing is lost. */
#include <criterion/criterion.h>

#include <hiredis/hiredis.h>

#include <string.h>

#include "redis_case.h"

static void start(void)
{
    static const char *const args[] = {"--enable-debug-command", "yes", NULL};
    redis_case_start(&(struct redis_server_options){.args = args});
}

TestSuite(redis_conditions, .init = start, .fini = redis_case_stop);

static void fill_memory(void) { (void)ASK("CONFIG", "SET", "maxmemory", "1"); }

static void free_memory(void) { (void)ASK("CONFIG", "SET", "maxmemory", "0"); }

/* Reading on is what lets memory be freed, so a connection that comes back does not wait for it. */
Test(redis_conditions, full_server_is_read_and_acknowledged_by_those_that_know_the_group)
{
    redis_case_add("s", 0, 10);
    redis_case_open(0, "s?group=g&field=value&block=10ms");
    redis_case_poll_until(0, 10);
    redis_case_add("s", 10, 30);
    fill_memory();
    fault_proxy_cut_all(redis_case.proxy, FAULT_PROXY_CUT_RESET);
    redis_case_poll_all(0, 40);
    redis_case_ack(0, 0);
    redis_case_confirm(0, redis_case.intakes[0].count);
    cr_assert_not(redis_case_has_logged("OOM"));
    cr_assert(strncmp(ASK("XADD", "s", "*", "k", "v"), "-OOM", 4) == 0);
}

static bool told_for_a_while(void *user)
{
    size_t *polls = user;
    redis_case_poll(0);
    return redis_case_has_logged("OOM") && ++*polls > 200;
}

Test(redis_conditions, full_server_that_lost_the_group_is_waited_for)
{
    size_t polls = 0;
    redis_case_add("s", 0, 10);
    redis_case_open(0, "s?group=g&field=value&block=10ms");
    redis_case_poll_until(0, 10);
    redis_case_add("s", 10, 10);
    (void)ASK("XGROUP", "DESTROY", "s", "g");
    fill_memory();
    fault_proxy_cut_all(redis_case.proxy,
                        FAULT_PROXY_CUT_RESET); /* is told, and what follows too */
    cr_assert(support_wait(told_for_a_while, &polls, REDIS_CASE_DEADLINE_MS));
    cr_assert_eq(redis_case_count_logged("OOM"), 1u, "%.*s", (int)redis_case.logged.len,
                 (const char *)redis_case.logged.data);
    cr_assert_leq(redis_case_count_logged("Connection reset"), 1u);
    free_memory();
    redis_case_poll_all(0, 20);
    cr_assert(redis_case_has_logged("is made again, behind"));
}

Test(redis_conditions, full_server_at_the_start_is_tried_as_often_as_told)
{
    fill_memory();
    STRID_CHECK_OK(redis_case_try_open(0, "s?group=g&attempts=3&attempt_delay=10ms"),
                   redis_case.err);
    cr_assert_eq(
        source_assign_at(&redis_case.sources[0], 0, NULL, strid_bytes_of(NULL, 0), &redis_case.err),
        STRID_ENOSPC);
    cr_assert(strstr(redis_case.err.message, "maxmemory") != NULL, "%s", redis_case.err.message);
    cr_assert_eq(redis_case_count_logged("OOM"), 2u); /* the attempts before the last one */
}

static bool is_refused_as_loading(void *user)
{
    (void)user;
    redis_case_poll(0);
    return source_assign_at(&redis_case.sources[1], 0, NULL, strid_bytes_of(NULL, 0),
                            &redis_case.err) == STRID_EUNREACHABLE &&
           strstr(redis_case.err.message, "LOADING") != NULL;
}

/* The server loads its data for a second or so, answering nothing else: what comes back waits, what
 * begins says why it cannot. */
Test(redis_conditions, server_that_loads_is_waited_for)
{
    int is_sent = 0;
    void *reply = NULL;
    redis_case_add("s", 0, 10);
    (void)ASK("EVAL", "for i = 1, 500 do redis.call('SET', 'k' .. i, string.rep('x', 1000)) end",
              "0");
    redis_case_open(0, "s?group=g&field=value&block=10ms");
    redis_case_poll_until(0, 10);
    (void)ASK("CONFIG", "SET", "key-load-delay", "2000");
    (void)ASK("CONFIG", "SET", "loading-process-events-interval-bytes", "1024");
    redisContext *context = redisConnectUnix(redis_case.server.socket);
    cr_assert(context != NULL && context->err == 0);
    cr_assert_eq(redisAppendCommand(context, "DEBUG RELOAD"), REDIS_OK);
    while (is_sent == 0)
        cr_assert_eq(redisBufferWrite(context, &is_sent), REDIS_OK);
    fault_proxy_cut_all(redis_case.proxy, FAULT_PROXY_CUT_RESET); /* no read is waiting there */
    STRID_CHECK_OK(redis_case_try_open(1, "s?group=g&consumer=b&attempts=1"), redis_case.err);
    cr_assert(support_wait(is_refused_as_loading, NULL, REDIS_CASE_DEADLINE_MS));
    cr_assert_eq(redisGetReply(context, &reply), REDIS_OK);
    cr_assert_str_eq(((redisReply *)reply)->str, "OK");
    freeReplyObject(reply);
    redisFree(context);
    redis_case_add("s", 10, 10);
    redis_case_poll_all(0, 20);
    cr_assert_eq(redis_case_count_logged("Connection reset"), 1u);
    cr_assert_eq(redis_case_count_logged("LOADING"), 0u); /* by the one that had told already */
    cr_assert_not(redis_case_has_logged("is made again"));
    redis_case_ack(0, 0);
    redis_case_confirm(0, redis_case.intakes[0].count);
}

static size_t told_as_a_replica(void)
{
    return redis_case_count_logged("READONLY") + redis_case_count_logged("MASTERDOWN");
}

static bool is_told_as_a_replica(void *user)
{
    size_t *polls = user;
    redis_case_poll(0);
    return told_as_a_replica() > 0 && ++*polls > 200;
}

/* What writes is refused as READONLY, what reads as MASTERDOWN where its master is away. */
Test(redis_conditions, replica_without_its_master_is_waited_for)
{
    size_t polls = 0;
    redis_case_add("s", 0, 10);
    redis_case_open(0, "s?group=g&field=value&block=10ms&timeout=2s");
    redis_case_poll_until(0, 10);
    (void)ASK("CONFIG", "SET", "replica-serve-stale-data", "no");
    (void)ASK("REPLICAOF", "127.0.0.1", "1"); /* nobody is there */
    cr_assert(support_wait(is_told_as_a_replica, &polls, REDIS_CASE_DEADLINE_MS));
    cr_assert_eq(told_as_a_replica(), 1u);
    STRID_CHECK_OK(redis_case_try_open(1, "s?group=g&consumer=b&attempts=1"), redis_case.err);
    strid_position handled = {5, 11};
    cr_assert_eq(source_assign_at(&redis_case.sources[1], 0, &handled, strid_bytes_of(NULL, 0),
                                  &redis_case.err),
                 STRID_EUNREACHABLE);
    cr_assert(strstr(redis_case.err.message, "MASTERDOWN") != NULL, "%s", redis_case.err.message);
    (void)ASK("REPLICAOF", "NO", "ONE");
    redis_case_add("s", 10, 10);
    redis_case_poll_all(0, 20);
    redis_case_ack(0, 0);
    redis_case_confirm(0, redis_case.intakes[0].count);
}

struct refused {
    size_t polls; /* of the first source, which has to come back */
};

static bool is_refused_as_full(void *user)
{
    struct refused *refused = user;
    redis_case_poll(0);
    refused->polls++;
    return source_assign_at(&redis_case.sources[1], 0, NULL, strid_bytes_of(NULL, 0),
                            &redis_case.err) == STRID_EUNREACHABLE &&
           strstr(redis_case.err.message, "max number of clients") != NULL && refused->polls > 200;
}

/* As when many clients come back at once: those that find no room wait. */
static void expect_to_wait_for_room(const char *rest)
{
    struct refused refused = {.polls = 0};
    redis_case_add("s", 0, 10);
    redis_case_open(0, rest);
    redis_case_poll_until(0, 10);
    redis_case_add("s", 10, 10);
    STRID_CHECK_OK(redis_case_try_open(1, rest), redis_case.err);
    redisContext *other = redisConnectUnix(redis_case.server.socket);
    cr_assert(other != NULL && other->err == 0);
    freeReplyObject(redisCommand(other, "CONFIG SET maxclients 1"));
    fault_proxy_cut_all(redis_case.proxy, FAULT_PROXY_CUT_RESET);
    cr_assert(support_wait(is_refused_as_full, &refused, REDIS_CASE_DEADLINE_MS), "%s",
              redis_case.err.message);
    freeReplyObject(redisCommand(other, "CONFIG SET maxclients 100"));
    redisFree(other);
    redis_case_poll_all(0, 20);
}

Test(redis_conditions, server_without_room_for_another_client_is_waited_for)
{
    expect_to_wait_for_room("s?group=g&field=value&block=10ms&attempts=1");
}

Test(redis_conditions, it_is_waited_for_with_a_login_too)
{
    (void)ASK("ACL", "SETUSER", "me", "on", ">canary", "~*", "+@all");
    expect_to_wait_for_room("s?group=g&field=value&block=10ms&attempts=1&user=me&password=canary");
}
