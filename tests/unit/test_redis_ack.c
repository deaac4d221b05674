/* Acknowledgements of a stream on their way to the server. */
#include <criterion/criterion.h>

#include "connectors/redis/redis_ack.h"
#include "connectors/redis/redis_id.h"

#include <string.h>

static struct redis_stream stream;
static struct redis_source_options options = {.group = "g"};
static struct redis_address address = {.config = &options.server};

static void start(void)
{
    redis_stream_init(&stream, &address, "s", &options, &(struct redis_stream_share){0}, "p", NULL);
}

static void end(void) { redis_stream_fini(&stream); }

TestSuite(redis_ack, .init = start, .fini = end);

static strid_position id_of(uint64_t number) { return (strid_position){7, number}; }

/* The last one of the command that was put last, which leaves. */
static void expect_sent(uint64_t number)
{
    char text[REDIS_ID_MAX];
    struct buffer *out = &stream.connection.out;
    const size_t len = redis_id_format(id_of(number), text);
    cr_assert_gt(out->len, len + 2);
    cr_assert_eq(memcmp(out->data + out->len - 2 - len, text, len), 0, "%s", text);
    buffer_clear(out);
}

static void take_answer(uint32_t count)
{
    cr_assert_gt(stream.expected_count, 0u);
    stream.expected_head = (stream.expected_head + 1) % REDIS_STREAM_EXPECTED;
    stream.expected_count--;
    redis_ack_answered(&stream, count);
}

/* Where the server is far away, or busy, some are always under way when others are told. */
Test(redis_ack, what_is_answered_is_not_kept_while_more_is_under_way)
{
    enum { COUNT = 100000, KEPT_MAX = 10000 };
    for (uint64_t i = 0; i < COUNT; i++) {
        strid_position id = id_of(i);
        redis_stream_ack(&stream, &id, 1);
        redis_ack_plan(&stream);
        expect_sent(i);
        if (i > 0)
            take_answer(1);
        cr_assert_leq(stream.acks.len, KEPT_MAX * sizeof id);
    }
    cr_assert_eq(stream.answered, COUNT - 1u);
}

/* What a connection took with it is sent again from the first one without an answer. */
Test(redis_ack, what_has_no_answer_is_kept)
{
    enum { COUNT = 20000, ANSWERED = 15000, PART = 1000 };
    for (uint64_t i = 0; i < COUNT; i++) {
        strid_position id = id_of(i);
        redis_stream_ack(&stream, &id, 1);
    }
    for (uint64_t i = 0; i < ANSWERED; i += PART) {
        redis_ack_plan(&stream);
        take_answer(PART);
    }
    stream.expected_count = stream.expected_head = stream.acks_sent = 0;
    stream.acks_sent_at = stream.acks_answered_at;
    buffer_clear(&stream.connection.out);
    strid_position last = id_of(COUNT);
    redis_stream_ack(&stream, &last, 1);
    redis_ack_plan(&stream);
    expect_sent(COUNT);
    cr_assert_eq(stream.expected_count, 6u);
    for (uint32_t i = 0; i < 5; i++)
        take_answer(PART);
    take_answer(1);
    cr_assert_eq(stream.answered, COUNT + 1u);
}
