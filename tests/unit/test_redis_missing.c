/* Own pending entries that an answer to a refresh lacks. */
#include <criterion/criterion.h>

#include "connectors/redis/redis_id.h"
#include "connectors/redis/redis_missing.h"

#include <hiredis/hiredis.h>

#include <stdio.h>
#include <string.h>

static struct redis_stream stream;
static struct redis_source_options options = {.group = "g"};
static struct redis_address address = {.config = &options.server};
static struct log log_here;
static struct buffer logged;
static redisReader *reader;

static void take_line(void *user, strid_log_level level, const char *logger, const char *message)
{
    (void)user;
    (void)level;
    (void)logger;
    buffer_printf(&logged, "%s\n", message);
}

static void start(void)
{
    log_init(&log_here, take_line, NULL);
    redis_stream_init(&stream, &address, "s", &options, &(struct redis_stream_share){0}, "p",
                      &log_here);
    stream.is_history = true;
    reader = redisReaderCreate();
}

static void end(void)
{
    redis_stream_fini(&stream);
    redisReaderFree(reader);
    buffer_fini(&logged);
    log_fini(&log_here);
}

TestSuite(redis_missing, .init = start, .fini = end);

static redisReply *parse(const char *text)
{
    void *reply = NULL;
    cr_assert_eq(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
    cr_assert_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
    cr_assert_not_null(reply);
    return reply;
}

/* "7-1" and so on: as XPENDING lists them, or as XCLAIM with JUSTID answers. */
static redisReply *make(const char *ids, bool is_pending)
{
    struct buffer text = {0};
    buffer_printf(&text, "*%zu\r\n", strlen(ids));
    for (; *ids != '\0'; ids++)
        buffer_printf(
            &text, is_pending ? "*4\r\n$3\r\n7-%c\r\n$2\r\nme\r\n:500\r\n:1\r\n" : "$3\r\n7-%c\r\n",
            *ids);
    buffer_put_u8(&text, 0);
    redisReply *reply = parse((const char *)text.data);
    buffer_fini(&text);
    return reply;
}

static void refresh(const char *pending, const char *left)
{
    redisReply *reply = make(pending, true);
    redis_missing_expect(&stream, reply);
    freeReplyObject(reply);
    if (left == NULL)
        return;
    reply = make(left, false);
    redis_missing_take_refreshed(&stream, reply);
    freeReplyObject(reply);
}

/* How many looks were sent. */
static uint32_t look(void)
{
    const uint32_t before = stream.expected_count;
    redis_missing_plan(&stream);
    buffer_clear(&stream.connection.out);
    return stream.expected_count - before;
}

static void answer(const char *text)
{
    redisReply *reply = parse(text);
    const struct redis_expected expected = stream.expected[stream.expected_head];
    cr_assert_eq(expected.kind, REDIS_EXPECTED_MISSING);
    cr_assert_eq(redis_missing_is_refused(&expected, reply), reply->type == REDIS_REPLY_ERROR);
    stream.expected_head = (stream.expected_head + 1) % REDIS_STREAM_EXPECTED;
    stream.expected_count--;
    redis_missing_take(&stream, reply);
    freeReplyObject(reply);
}

static bool has_told(const char *text)
{
    return memmem(logged.data, logged.len, text, strlen(text)) != NULL;
}

static const char there[] = "*1\r\n*2\r\n$3\r\n7-2\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
                  not_there[] = "*0\r\n";

Test(redis_missing, only_what_is_not_in_the_stream_is_told)
{
    refresh("1234567", "1356");
    cr_assert_eq(look(), 3u);
    answer(there); /* settled meanwhile, or claimed by another */
    cr_assert_eq(logged.len, 0u);
    answer(not_there);
    cr_assert(has_told("entry 7-4 was deleted or trimmed"));
    cr_assert(redis_missing_is_due(&stream));
    answer(there);
    cr_assert_not(redis_missing_is_due(&stream));
    cr_assert_not(has_told("7-7"));
    cr_assert_eq(stream.counts.gone, 1u);
}

/* The engine has it, or it was told when it was read. */
Test(redis_missing, what_was_read_is_not_looked_for)
{
    stream.history_from = (strid_position){7, 3};
    refresh("12345", NULL);
    stream.history_from = (strid_position){7, 4}; /* while the refresh was under way */
    redisReply *reply = make("", false);
    redis_missing_take_refreshed(&stream, reply);
    freeReplyObject(reply);
    cr_assert_eq(look(), 1u);
    answer(not_there);
    cr_assert(has_told("7-5"));
    stream.is_history = false;
    refresh("6", "");
    cr_assert_not(redis_missing_is_due(&stream));
}

/* The server may have seen to the refresh, and nobody knows what it answered. */
Test(redis_missing, all_of_a_refresh_without_an_answer_is_looked_for)
{
    refresh("12", NULL);
    cr_assert_eq(look(), 0u);
    redis_missing_restart(&stream);
    cr_assert_eq(look(), 2u);
    answer(not_there);
    stream.expected_head = stream.expected_count = 0;
    redis_missing_restart(&stream); /* another one, with a look under way */
    cr_assert_eq(look(), 1u);
    answer(not_there);
    cr_assert(has_told("7-1"));
    cr_assert(has_told("7-2"));
    cr_assert_eq(stream.counts.gone, 2u);
    stream.history_from = (strid_position){7, 3};
    refresh("345", NULL);
    redis_missing_restart(&stream);
    cr_assert_eq(look(), 2u); /* but for what was read then */
}

Test(redis_missing, few_looks_are_under_way)
{
    enum { ROUNDS = 10 };
    for (int i = 0; i < ROUNDS; i++)
        refresh("123456789", "");
    uint32_t sent = look();
    cr_assert_lt(sent, 20u);
    for (uint32_t i = 0; i < 9 * ROUNDS; i++) {
        answer(not_there);
        sent += look();
    }
    cr_assert_eq(sent, 9u * ROUNDS);
    cr_assert_eq(stream.counts.gone, 9u * ROUNDS);
}

Test(redis_missing, what_cannot_be_looked_for_is_told_as_what_may_be_lost)
{
    refresh("12", "");
    cr_assert_eq(look(), 2u);
    answer("-NOPERM no\r\n");
    cr_assert(has_told("entry 7-1 is not pending here any more"));
    cr_assert(has_told("+xrange"));
    redis_missing_give_up(&stream);
    cr_assert(has_told("entry 7-2 is not pending here any more, and the server is away"));
    cr_assert_not(redis_missing_is_due(&stream));
    cr_assert_eq(stream.counts.gone, 0u);
}
