#include <criterion/criterion.h>

#include "connectors/redis/redis_command.h"
#include "connectors/redis/redis_entries.h"
#include "connectors/redis/redis_reply.h"

#include <hiredis/hiredis.h>

#include "support/support.h"

static struct redis_replies replies;
static strid_error err = STRID_ERROR_INIT;

static strid_status next(redisReply **reply) { return redis_replies_next(&replies, reply, &err); }

static strid_status feed(const char *text)
{
    return redis_replies_feed(&replies, text, strlen(text), &err);
}

Test(redis_reply, whole_ones_come_out_however_they_are_cut)
{
    static const char text[] = "+OK\r\n:7\r\n*2\r\n$1\r\na\r\n*1\r\n$-1\r\n$3\r\n\r\n\r\r\n";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        redisReply *reply = NULL;
        size_t count = 0;
        redis_replies_init(&replies, 1024);
        for (size_t at = 0; at < sizeof text - 1; at += piece) {
            size_t left = sizeof text - 1 - at;
            STRID_CHECK_OK(
                redis_replies_feed(&replies, text + at, left < piece ? left : piece, &err), err);
            while (next(&reply) == STRID_OK) {
                count++;
                if (count == 4)
                    cr_assert(
                        strid_bytes_equal(redis_reply_bytes(reply), strid_bytes_of("\r\n\r", 3)));
                redis_reply_free(reply);
            }
        }
        cr_assert_eq(count, 4u, "%zu replies in pieces of %zu", count, piece);
        redis_replies_fini(&replies);
    }
}

Test(redis_reply, announced_items_take_no_memory_that_the_limit_forbids)
{
    redisReply *reply = NULL;
    redis_replies_init(&replies, 4096);
    STRID_CHECK_OK(feed("*2147483647\r\n"), err);
    cr_assert_eq(next(&reply), STRID_ELIMIT);
    cr_assert(strstr(err.message, "max_reply") != NULL, "%s", err.message);
    redis_replies_fini(&replies);
    redis_replies_init(&replies, 4096);
    STRID_CHECK_OK(feed("*600\r\n*600\r\n"), err); /* each allowed, both are not */
    cr_assert_eq(next(&reply), STRID_ELIMIT);
    redis_replies_fini(&replies);
}

Test(redis_reply, limit_counts_each_reply_alone)
{
    redisReply *reply = NULL;
    char large[1200];
    redis_replies_init(&replies, 1024);
    for (int i = 0; i < 100; i++) {
        STRID_CHECK_OK(feed("$600\r\n"), err);
        memset(large, 'x', 600);
        memcpy(large + 600, "\r\n", 2);
        STRID_CHECK_OK(redis_replies_feed(&replies, large, 602, &err), err);
        cr_assert_eq(next(&reply), STRID_OK);
        redis_reply_free(reply);
    }
    STRID_CHECK_OK(feed("$2000\r\n"), err);
    memset(large, 'x', sizeof large);
    STRID_CHECK_OK(redis_replies_feed(&replies, large, sizeof large, &err), err);
    cr_assert_eq(next(&reply), STRID_ELIMIT);
    redis_replies_fini(&replies);
}

Test(redis_reply, what_is_no_reply_is_an_error)
{
    redisReply *reply = NULL;
    redis_replies_init(&replies, 1024);
    STRID_CHECK_OK(feed("HTTP/1.1 400 Bad Request\r\n"), err);
    cr_assert_eq(next(&reply), STRID_EIO);
    cr_assert(strstr(err.message, "does not speak Redis") != NULL, "%s", err.message);
    redis_replies_fini(&replies);
}

/* Of shapes that no server gives, whatever is expected: they are read to their end. */
Test(redis_reply, entries_of_odd_shapes_do_no_harm)
{
    static const char *const odd[] = {
        "*3\r\n$3\r\n0-0\r\n*0\r\n*1\r\n*1\r\n*1\r\n$1\r\nx\r\n",
        "*3\r\n$3\r\n0-0\r\n*0\r\n*1\r\n*2\r\n$3\r\n5-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
        "*3\r\n$3\r\n0-0\r\n*0\r\n*1\r\n*2\r\n*-1\r\n$-1\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n$1\r\nx\r\n",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n*1\r\n$1\r\nx\r\n$-1\r\n",
        "*2\r\n*0\r\n*1\r\n$1\r\nx\r\n",
    };
    for (size_t i = 0; i < 2 * sizeof odd / sizeof odd[0]; i++) {
        struct redis_entries entries = {.shape = REDIS_ENTRIES_NONE};
        struct redis_entry_head head;
        struct cursor fields;
        redisReply *reply = NULL;
        redis_replies_init(&replies, 1024);
        replies.entries = &entries;
        redis_entries_begin(&entries, i % 2 == 0 ? REDIS_ENTRIES_READ : REDIS_ENTRIES_CLAIM);
        STRID_CHECK_OK(feed(odd[i / 2]), err);
        cr_assert_eq(next(&reply), STRID_OK, "%zu", i);
        redis_entries_end(&entries);
        while (redis_entries_peek(&entries, &head, &fields))
            redis_entries_take(&entries);
        redis_reply_free(reply);
        redis_replies_fini(&replies);
        redis_entries_fini(&entries);
    }
}

Test(redis_reply, errors_of_the_server_have_a_meaning)
{
    static const struct {
        const char *text;
        strid_status status;
        bool retriable;
    } cases[] = {
        {"-LOADING Redis is loading\r\n", STRID_EUNREACHABLE, true},
        {"-READONLY You can't write\r\n", STRID_EUNREACHABLE, true},
        {"-OOM command not allowed\r\n", STRID_ENOSPC, true},
        {"-NOPERM no permissions\r\n", STRID_ECONFIG, false},
        {"-WRONGTYPE Operation\r\n", STRID_ECONFIG, false},
        {"-ERR whatever\r\n", STRID_EIO, false},
        {"-OOMPH no code of ours\r\n", STRID_EIO, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        redisReply *reply = NULL;
        redis_replies_init(&replies, 1024);
        STRID_CHECK_OK(feed(cases[i].text), err);
        cr_assert_eq(next(&reply), STRID_OK);
        cr_assert_eq(redis_reply_check(reply, "XADD s", &err), cases[i].status, "%s",
                     cases[i].text);
        cr_assert_eq((err.flags & STRID_ERROR_RETRIABLE) != 0, cases[i].retriable, "%s",
                     cases[i].text);
        cr_assert(strncmp(err.message, "XADD s: ", 8) == 0, "%s", err.message);
        redis_reply_free(reply);
        redis_replies_fini(&replies);
    }
}

Test(redis_command, words_are_any_bytes)
{
    struct buffer out = {0};
    redis_command_begin(&out, 3);
    redis_command_text(&out, "SET");
    redis_command_word(&out, strid_bytes_of("\0\r\n", 3));
    redis_command_number(&out, UINT64_MAX);
    redis_command_put(&out, (const char *const[]){"PING", NULL});
    static const char expected[] = "*3\r\n$3\r\nSET\r\n$3\r\n\0\r\n\r\n$20\r\n18446744073709551615"
                                   "\r\n*1\r\n$4\r\nPING\r\n";
    cr_assert(strid_bytes_equal(buffer_bytes(&out), strid_bytes_of(expected, sizeof expected - 1)));
    buffer_fini(&out);
}
