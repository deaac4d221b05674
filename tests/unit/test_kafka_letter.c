#include <criterion/criterion.h>

#include "connectors/kafka/kafka_letter.h"
#include "connectors/kafka/kafka_sink.h"

static const strid_header own[] = {
    {{(const uint8_t *)"a", 1}, {(const uint8_t *)"\0x", 2}},
    {{(const uint8_t *)"a", 1}, {NULL, 0}},
};

static void check_text(strid_bytes bytes, const char *text)
{
    cr_assert(strid_bytes_equal(bytes, strid_bytes_of_text(text)), "%.*s, not %s", (int)bytes.len,
              (const char *)bytes.data, text);
}

static strid_dead_letter some_letter(void)
{
    return (strid_dead_letter){.source = "file:x",
                               .topic = strid_bytes_of_text("orders"),
                               .partition = 4,
                               .position = {7, UINT64_MAX},
                               .reason = strid_bytes_of_text("not_json"),
                               .first_failure_ms = -5,
                               .last_failure_ms = 1700000000000,
                               .attempts = 3,
                               .pipeline = "p",
                               .node = "n"};
}

Test(kafka_letter, what_is_written_is_read_back_with_the_headers_of_the_record)
{
    strid_dead_letter written = some_letter();
    strid_output output = {.id = strid_bytes_of_text("p/orders/4/7/0"),
                           .headers = own,
                           .header_count = 2,
                           .dead_letter = &written};
    rd_kafka_headers_t *headers = kafka_letter_headers(&output);
    struct kafka_letter letter = {0};
    cr_assert(kafka_letter_read(&letter, headers, 0));
    check_text(letter.output.id, "p/orders/4/7/0");
    cr_assert_eq(letter.output.header_count, 2);
    cr_assert(strid_bytes_equal(letter.output.headers[0].value, own[0].value));
    cr_assert_null(letter.output.headers[1].value.data);
    cr_assert_str_eq(letter.letter.source, "file:x");
    check_text(letter.letter.topic, "orders");
    check_text(letter.letter.reason, "not_json");
    cr_assert_eq(letter.letter.type.len, 0);
    cr_assert_eq(letter.letter.partition, 4);
    cr_assert_eq(letter.letter.position.high, 7);
    cr_assert_eq(letter.letter.position.low, UINT64_MAX);
    cr_assert_eq(letter.letter.first_failure_ms, -5);
    cr_assert_eq(letter.letter.last_failure_ms, 1700000000000);
    cr_assert_eq(letter.letter.attempts, 3);
    cr_assert_str_eq(letter.letter.pipeline, "p");
    cr_assert_str_eq(letter.letter.node, "n");
    kafka_letter_fini(&letter);
    rd_kafka_headers_destroy(headers);
}

Test(kafka_letter, an_output_is_none_and_carries_its_id)
{
    strid_output output = {.id = strid_bytes_of_text("id-1")};
    rd_kafka_headers_t *headers = kafka_letter_headers(&output);
    struct kafka_letter letter = {0};
    const void *value = NULL;
    size_t len = 0;
    cr_assert_not(kafka_letter_read(&letter, headers, 0));
    cr_assert_eq(rd_kafka_header_get_last(headers, "strid.id", &value, &len), 0);
    check_text(strid_bytes_of(value, len), "id-1");
    kafka_letter_fini(&letter);
    rd_kafka_headers_destroy(headers);
}

struct foreign {
    const char *name, *value;
    ssize_t len;
};

static void check_foreign(const struct foreign *given, size_t count)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(count);
    for (size_t i = 0; i < count; i++)
        (void)rd_kafka_header_add(headers, given[i].name, -1, given[i].value, given[i].len);
    struct kafka_letter letter = {0};
    cr_assert(kafka_letter_read(&letter, headers, 99));
    check_text(letter.letter.topic, "orders");
    check_text(letter.letter.reason, "it broke");
    cr_assert_eq(letter.letter.partition, 258);
    cr_assert_eq(letter.letter.position.low, 65537);
    cr_assert_eq(letter.letter.last_failure_ms, 99);
    cr_assert_eq(letter.output.header_count, count);
    kafka_letter_fini(&letter);
    rd_kafka_headers_destroy(headers);
}

Test(kafka_letter, headers_of_connect_spring_and_streams_are_read)
{
    static const struct foreign connect[] = {{"__connect.errors.topic", "orders", 6},
                                             {"__connect.errors.partition", "258", 3},
                                             {"__connect.errors.offset", "65537", 5},
                                             {"__connect.errors.exception.message", "it broke", 8}};
    static const struct foreign spring[] = {{"kafka_dlt-original-topic", "orders", 6},
                                            {"kafka_dlt-original-partition", "\0\0\1\2", 4},
                                            {"kafka_dlt-original-offset", "\0\0\0\0\0\1\0\1", 8},
                                            {"kafka_dlt-exception-message", "it broke", 8}};
    static const struct foreign streams[] = {{"__streams.errors.message", "it broke", 8},
                                             {"__streams.errors.offset", "65537", 5},
                                             {"__streams.errors.partition", "258", 3},
                                             {"__streams.errors.topic", "orders", 6}};
    check_foreign(connect, 4);
    check_foreign(spring, 4);
    check_foreign(streams, 4);
}

static void check_headers(const struct kafka_letter *letter, const char *const *wanted)
{
    rd_kafka_headers_t *headers = kafka_letter_original(letter);
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0, count = 0;
    for (; wanted[2 * count] != NULL; count++) {
        cr_assert_eq(rd_kafka_header_get_all(headers, count, &name, &value, &len), 0);
        cr_assert_str_eq(name, wanted[2 * count]);
        check_text(strid_bytes_of(value, len), wanted[2 * count + 1]);
    }
    cr_assert_eq(rd_kafka_header_cnt(headers), count);
    rd_kafka_headers_destroy(headers);
}

Test(kafka_letter, what_goes_back_has_its_own_headers_and_counts)
{
    strid_dead_letter written = some_letter();
    const strid_header given[] = {
        {strid_bytes_of_text("kafka_dlt-original-topic"), strid_bytes_of_text("kept")},
        {strid_bytes_of_text(STRID_HEADER_REPLAYS), strid_bytes_of_text("41")}};
    strid_output output = {.id = strid_bytes_of_text("i"),
                           .headers = given,
                           .header_count = 2,
                           .dead_letter = &written};
    struct kafka_letter letter = {0};
    rd_kafka_headers_t *headers = kafka_letter_headers(&output);
    cr_assert(kafka_letter_read(&letter, headers, 0));
    check_headers(&letter, (const char *[]){"kafka_dlt-original-topic", "kept",
                                            STRID_HEADER_REPLAYS, "42", NULL});
    rd_kafka_headers_destroy(headers);
    headers = rd_kafka_headers_new(3);
    (void)rd_kafka_header_add(headers, "own", -1, "x", 1);
    (void)rd_kafka_header_add(headers, "kafka_dlt-original-topic", -1, "orders", 6);
    (void)rd_kafka_header_add(headers, "kafka_dlt-exception-stacktrace", -1, "at", 2);
    cr_assert(kafka_letter_read(&letter, headers, 0));
    check_headers(&letter, (const char *[]){"own", "x", STRID_HEADER_REPLAYS, "1", NULL});
    rd_kafka_headers_destroy(headers);
    kafka_letter_fini(&letter);
}

Test(kafka_sink, placeholder_stands_for_any_topic)
{
    cr_assert(kafka_sink_topic_matches("orders-dlq", NULL, "orders-dlq"));
    cr_assert_not(kafka_sink_topic_matches("orders-dlq", NULL, "orders"));
    cr_assert(kafka_sink_topic_matches("{topic}-dlq", NULL, "orders-dlq"));
    cr_assert_not(kafka_sink_topic_matches("{topic}-dlq", NULL, "-dlq"));
    cr_assert_not(kafka_sink_topic_matches("{topic}-dlq", NULL, "orders"));
    cr_assert(kafka_sink_topic_matches("a.{topic}.b", NULL, "a.x.b"));
    cr_assert_not(kafka_sink_topic_matches("a.{topic}.b", NULL, "a..b.c"));
    /* Letters of other pipelines' topics are not theirs. */
    cr_assert(kafka_sink_topic_matches("{topic}-dlq", "a,orders", "orders-dlq"));
    cr_assert(kafka_sink_topic_matches("{topic}-dlq", "^ord", "orders-dlq"));
    cr_assert_not(kafka_sink_topic_matches("{topic}-dlq", "order,^x", "orders-dlq"));
    cr_assert_not(kafka_sink_topic_matches("{topic}-dlq", "^.*", "__own-dlq"));
}
