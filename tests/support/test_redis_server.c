#include <criterion/criterion.h>

#include "support/redis_server.h"

static void check(struct redis_server *redis, const char *const *words, const char *expected)
{
    struct buffer reply = {0};
    cr_assert(redis_server_ask(redis, &reply, words), "no answer to %s", words[0]);
    buffer_put_u8(&reply, 0);
    cr_assert_str_eq((const char *)reply.data, expected);
    buffer_fini(&reply);
}

#define ASK(redis, expected, ...) check(redis, (const char *const[]){__VA_ARGS__, NULL}, expected)

Test(redis_server, without_persistence_a_kill_loses_all)
{
    struct redis_server redis;
    redis_server_start(&redis, &(struct redis_server_options){0});
    uint16_t port = redis.port;
    ASK(&redis, "$3\r\n1-1\r\n", "XADD", "s", "1-1", "f", "v");
    ASK(&redis, "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n", "XRANGE", "s", "-", "+");
    server_kill(&redis.process);
    cr_assert(!server_is_running(&redis.process));
    struct buffer reply = {0};
    cr_assert(!redis_server_ask(&redis, &reply, (const char *const[]){"PING", NULL}));
    buffer_fini(&reply);
    redis_server_restart(&redis);
    cr_assert_eq(redis.port, port);
    ASK(&redis, ":0\r\n", "XLEN", "s");
    redis_server_remove(&redis);
    redis_server_remove(&redis);
}

Test(redis_server, appended_always_nothing_is_lost)
{
    struct redis_server redis;
    redis_server_start(&redis,
                       &(struct redis_server_options){.append = REDIS_SERVER_APPEND_ALWAYS});
    ASK(&redis, "$3\r\n1-1\r\n", "XADD", "s", "1-1", "f", "v");
    server_kill(&redis.process);
    redis_server_restart(&redis);
    ASK(&redis, ":1\r\n", "XLEN", "s");
    server_freeze(&redis.process);
    server_stop(&redis.process); /* frozen, it still stops */
    cr_assert(!server_is_running(&redis.process));
    redis_server_remove(&redis);
}

Test(redis_server, further_arguments_are_passed)
{
    static const char *const args[] = {"--databases", "3", NULL};
    struct redis_server redis;
    redis_server_start(&redis, &(struct redis_server_options){.args = args});
    ASK(&redis, "*2\r\n$9\r\ndatabases\r\n$1\r\n3\r\n", "CONFIG", "GET", "databases");
    redis_server_remove(&redis);
}

static bool never(void *user)
{
    (void)user;
    return false;
}

Test(server, one_that_ends_at_once_is_not_waited_for, .timeout = 20)
{
    struct support_directory directory;
    support_directory_create(&directory);
    struct server server = {0};
    support_path(&directory, "log", server.log);
    server_start(&server, (const char *const[]){"no-such-program-of-ours", NULL});
    cr_assert(!server_wait(&server, never, NULL));
    char *log = support_read_file(server.log, NULL);
    cr_assert_not_null(strstr(log, "no-such-program-of-ours: No such file"), "%s", log);
    free(log);
    server_stop(&server);
    server_kill(&server);
    support_directory_remove(&directory);
}
