/* The Redis sink and its dead letters, on real servers. */
#include <criterion/criterion.h>

#include "base/buffer.h"
#include "conformance/connector_case.h"

#include <hiredis/hiredis.h>

#include <stdio.h>

#include "support/fault_proxy.h"
#include "support/redis_server.h"

static struct redis_server redis;
static struct fault_proxy *proxy;
static struct opened_sink sink;
static strid_error err = STRID_ERROR_INIT;

static void start(void)
{
    redis_server_start(&redis,
                       &(struct redis_server_options){.append = REDIS_SERVER_APPEND_ALWAYS});
    proxy = fault_proxy_start(redis.port);
}

static void stop(void)
{
    sink_close(&sink);
    fault_proxy_stop(proxy);
    redis_server_remove(&redis);
}

TestSuite(redis_sink, .init = start, .fini = stop);

static strid_status try_open(const char *rest)
{
    char url[256];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%u/%s", (unsigned)fault_proxy_port(proxy),
                   rest);
    sink_close(&sink);
    return sink_open_url(&sink, url, &err);
}

static void write_value(const char *value)
{
    strid_output output = {.id = strid_bytes_of_text("p/t/0/1/0"),
                           .value = strid_bytes_of_text(value),
                           .timestamp_ms = STRID_TIMESTAMP_NONE};
    STRID_CHECK_OK(sink.ops->write(sink.self, &output, 1, &err), err);
}

static strid_status flush(void) { return sink.ops->flush(sink.self, &err); }

static void expect(const char *expected, const char *const *words)
{
    struct buffer reply = {0};
    cr_assert(redis_server_ask(&redis, &reply, words));
    buffer_put_u8(&reply, 0);
    cr_assert_str_eq((const char *)reply.data, expected);
    buffer_fini(&reply);
}

#define EXPECT(expected, ...) expect(expected, (const char *const[]){__VA_ARGS__, NULL})

/* The fields of the only entry as "name=value;". */
static void expect_fields(const char *expected)
{
    char text[512] = "";
    size_t len = 0;
    redisContext *context = redisConnectUnix(redis.socket);
    redisReply *entries = redisCommand(context, "XRANGE s - +");
    cr_assert_eq(entries->elements, 1u);
    const redisReply *fields = entries->element[0]->element[1];
    for (size_t i = 0; i < fields->elements; i += 2)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s=%s;", fields->element[i]->str,
                                fields->element[i + 1]->str);
    freeReplyObject(entries);
    redisFree(context);
    cr_assert_str_eq(text, expected);
}

Test(redis_sink, entry_holds_id_key_and_value)
{
    STRID_CHECK_OK(try_open("s"), err);
    strid_output output = {.id = strid_bytes_of_text("i"),
                           .key = strid_bytes_of_text("k"),
                           .value = strid_bytes_of_text("{\"a\": 1}")};
    STRID_CHECK_OK(sink.ops->write(sink.self, &output, 1, &err), err);
    STRID_CHECK_OK(flush(), err);
    expect_fields("_id=i;_key=k;value={\"a\": 1};");
}

Test(redis_sink, fields_have_the_names_that_were_chosen)
{
    STRID_CHECK_OK(try_open("s?field=data&id_field=event_id&key_field="), err);
    strid_output output = {.id = strid_bytes_of_text("i"),
                           .key = strid_bytes_of_text("k"),
                           .value = strid_bytes_of_text("v")};
    STRID_CHECK_OK(sink.ops->write(sink.self, &output, 1, &err), err);
    STRID_CHECK_OK(flush(), err);
    expect_fields("event_id=i;data=v;");
}

/* Flat fields, as the source reads them: what is written so comes back as the same object. */
Test(redis_sink, members_of_an_object_are_fields)
{
    STRID_CHECK_OK(try_open("s?flat=true&id_field="), err);
    write_value(" {\"user\" : \"a\\\"\\n\\u00e9\\ud83d\\ude00\", \"n\":1.50,\"b\": true ,"
                "\"o\":{\"}\":[\"]\\\"\",1]}, \"\":null} ");
    STRID_CHECK_OK(flush(), err);
    expect_fields(
        "user=a\"\n\xc3\xa9\xf0\x9f\x98\x80;n=1.50;b=true;o={\"}\":[\"]\\\"\",1]};=null;");
}

Test(redis_sink, what_is_no_object_is_one_field_all_the_same)
{
    static const char *const values[] = {"[1]", "{}", "{\"a\":1", "text", "{\"a\":1} 2", "\"{}\""};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char expected[64];
        STRID_CHECK_OK(try_open("s?flat=true&id_field="), err);
        write_value(values[i]);
        STRID_CHECK_OK(flush(), err);
        (void)snprintf(expected, sizeof expected, "value=%s;", values[i]);
        expect_fields(expected);
        EXPECT(":1\r\n", "DEL", "s");
    }
    cr_assert_eq(try_open("s?flat=true&mode=reply"), STRID_ECONFIG);
}

Test(redis_sink, output_of_nothing_is_still_an_entry)
{
    STRID_CHECK_OK(try_open("s?id_field="), err);
    strid_output output = {.timestamp_ms = STRID_TIMESTAMP_NONE};
    STRID_CHECK_OK(sink.ops->write(sink.self, &output, 1, &err), err);
    STRID_CHECK_OK(flush(), err);
    expect_fields("value=;");
}

Test(redis_sink, stream_is_trimmed_by_length_and_by_age)
{
    STRID_CHECK_OK(try_open("s?maxlen=100"), err);
    for (int i = 0; i < 1000; i++)
        write_value("v");
    STRID_CHECK_OK(flush(), err);
    EXPECT(":100\r\n", "XLEN", "s"); /* whole nodes of 100 entries go */
    char id[16], answer[32];
    for (int i = 1; i <= 150; i++) {
        (void)snprintf(id, sizeof id, "1-%d", i);
        (void)snprintf(answer, sizeof answer, "$%zu\r\n%s\r\n", strlen(id), id);
        EXPECT(answer, "XADD", "old", id, "f", "v");
    }
    STRID_CHECK_OK(try_open("old?keep=1h"), err);
    for (int i = 0; i < 300; i++)
        write_value("v");
    STRID_CHECK_OK(flush(), err);
    EXPECT(":350\r\n", "XLEN", "old"); /* the node that holds both stays */
}

Test(redis_sink, contradicting_options_are_refused)
{
    cr_assert_eq(try_open("s?maxlen=1&keep=1h"), STRID_ECONFIG);
    cr_assert_eq(try_open("s?field="), STRID_ECONFIG);
    cr_assert_eq(try_open(""), STRID_ECONFIG);
    cr_assert_eq(try_open("s?maxlen=x"), STRID_ECONFIG);
}

Test(redis_sink, key_that_is_no_stream_is_told)
{
    EXPECT("+OK\r\n", "SET", "s", "text");
    STRID_CHECK_OK(try_open("s"), err);
    write_value("v");
    write_value("w");
    cr_assert_eq(flush(), STRID_ECONFIG);
    cr_assert(strstr(err.message, "WRONGTYPE") != NULL, "%s", err.message);
    cr_assert(strstr(err.message, "stream s of redis://127.0.0.1") != NULL, "%s", err.message);
    EXPECT(":1\r\n", "DEL", "s");
    write_value("v");
    STRID_CHECK_OK(flush(), err);
    EXPECT(":1\r\n", "XLEN", "s");
}

static bool is_delivered(void *user)
{
    write_value(user);
    return flush() == STRID_OK;
}

Test(redis_sink, goes_on_after_a_kill_of_the_server_with_nothing_lost)
{
    STRID_CHECK_OK(try_open("s"), err);
    write_value("1");
    STRID_CHECK_OK(flush(), err);
    server_kill(&redis.process);
    write_value("2");
    cr_assert_eq(flush(), STRID_EUNREACHABLE);
    cr_assert(err.flags & STRID_ERROR_RETRIABLE);
    redis_server_restart(&redis);
    cr_assert(support_wait(is_delivered, "2", 20000), "%s", err.message);
    EXPECT(":2\r\n", "XLEN", "s");
}

Test(redis_sink, lost_answer_is_a_failure_and_a_repeat_has_the_same_id)
{
    STRID_CHECK_OK(try_open("s"), err);
    fault_proxy_set(proxy, &(struct fault_proxy_rules){.reset_at_bytes = 1});
    write_value("1");
    cr_assert_eq(flush(), STRID_EUNREACHABLE);
    EXPECT(":1\r\n", "XLEN", "s");
    fault_proxy_set(proxy, &(struct fault_proxy_rules){0});
    cr_assert(support_wait(is_delivered, "1", 20000), "%s", err.message);
    EXPECT(":2\r\n", "XLEN", "s");
}

/* Replies. */

static strid_status write_reply(strid_bytes key, const char *value)
{
    strid_output output = {.key = key, .value = strid_bytes_of_text(value)};
    return sink.ops->write(sink.self, &output, 1, &err);
}

static void reply_to(const char *key, const char *value)
{
    STRID_CHECK_OK(write_reply(strid_bytes_of_text(key), value), err);
}

static long milliseconds_left(const char *list)
{
    redisContext *context = redisConnectUnix(redis.socket);
    redisReply *reply = redisCommand(context, "PTTL %s", list);
    long left = (long)reply->integer;
    freeReplyObject(reply);
    redisFree(context);
    return left;
}

static bool is_forgotten(void *user)
{
    struct buffer reply = {0};
    (void)user;
    cr_assert(redis_server_ask(&redis, &reply, (const char *const[]){"DBSIZE", NULL}));
    buffer_put_u8(&reply, 0);
    bool is_one = strcmp((const char *)reply.data, ":1\r\n") == 0; /* reply:17 */
    buffer_fini(&reply);
    return is_one;
}

static bool is_replied(void *user)
{
    (void)user;
    reply_to("17", "pong");
    return flush() == STRID_OK;
}

Test(redis_sink, reply_goes_to_the_list_of_its_key_for_a_while)
{
    STRID_CHECK_OK(try_open("reply:?mode=reply&ttl=30s"), err);
    reply_to("17", "first");
    reply_to("18", "other");
    reply_to("17", "second");
    EXPECT(":0\r\n", "EXISTS", "reply:17"); /* not before a flush */
    STRID_CHECK_OK(flush(), err);
    EXPECT("*2\r\n$5\r\nfirst\r\n$6\r\nsecond\r\n", "LRANGE", "reply:17", "0", "-1");
    EXPECT("*1\r\n$5\r\nother\r\n", "LRANGE", "reply:18", "0", "-1");
    cr_assert_gt(milliseconds_left("reply:17"), 0);
    cr_assert_leq(milliseconds_left("reply:18"), 30000);
    EXPECT("*2\r\n$8\r\nreply:18\r\n$5\r\nother\r\n", "BLPOP", "reply:18", "1");
    EXPECT(":0\r\n", "EXISTS", "reply:18");
    STRID_CHECK_OK(try_open("r?mode=reply&ttl=1ms"), err);
    STRID_CHECK_OK(write_reply(strid_bytes_of("\xff\r\n", 3), "soon gone"), err);
    STRID_CHECK_OK(flush(), err);
    cr_assert(support_wait(is_forgotten, NULL, 20000));
}

Test(redis_sink, reply_that_cannot_be_given_holds_up_no_other)
{
    STRID_CHECK_OK(try_open("reply:?mode=reply"), err);
    EXPECT("+OK\r\n", "SET", "reply:taken", "text");
    reply_to("taken", "refused");
    STRID_CHECK_OK(write_reply(strid_bytes_of(NULL, 0), "for nobody"), err);
    STRID_CHECK_OK(write_reply(strid_bytes_of("", 0), "for nobody"), err);
    reply_to("17", "pong");
    STRID_CHECK_OK(flush(), err);
    EXPECT("*1\r\n$4\r\npong\r\n", "LRANGE", "reply:17", "0", "-1");
    EXPECT("$4\r\ntext\r\n", "GET", "reply:taken");
    cr_assert_eq(milliseconds_left("reply:taken"), -1);
    EXPECT(":2\r\n", "DBSIZE");
}

Test(redis_sink, reply_whose_answer_is_lost_comes_again)
{
    STRID_CHECK_OK(try_open("reply:?mode=reply"), err);
    fault_proxy_set(proxy, &(struct fault_proxy_rules){.reset_at_bytes = 1});
    reply_to("17", "pong");
    cr_assert_eq(flush(), STRID_EUNREACHABLE);
    fault_proxy_set(proxy, &(struct fault_proxy_rules){0});
    cr_assert(support_wait(is_replied, NULL, 20000), "%s", err.message);
    EXPECT("*2\r\n$4\r\npong\r\n$4\r\npong\r\n", "LRANGE", "reply:17", "0", "-1");
}

Test(redis_sink, replies_are_no_stream)
{
    cr_assert_eq(try_open("reply:?mode=reply&maxlen=5"), STRID_ECONFIG);
    cr_assert_eq(try_open("reply:?mode=reply&keep=5s"), STRID_ECONFIG);
    cr_assert_eq(try_open("reply:?mode=answer"), STRID_ECONFIG);
    cr_assert_eq(try_open("reply:?mode=reply&ttl=0s"), STRID_ECONFIG);
    STRID_CHECK_OK(try_open("reply:?mode=reply"), err);
    strid_dead_letter letter = {.source = "s", .pipeline = "p", .node = "n"};
    strid_output output = {.key = strid_bytes_of_text("k"), .dead_letter = &letter};
    cr_assert_eq(sink.ops->write(sink.self, &output, 1, &err), STRID_ECONFIG);
    cr_assert(strstr(err.message, "mode=reply") != NULL, "%s", err.message);
}

/* Dead letters. */

struct listing {
    uint32_t count;
    uint32_t stop_at;
    void (*check)(const strid_output *letter, uint32_t index);
};

static bool take(void *user, const strid_output *letter)
{
    struct listing *listing = user;
    if (listing->check != NULL)
        listing->check(letter, listing->count);
    return ++listing->count != listing->stop_at;
}

static uint32_t browse(void (*check)(const strid_output *letter, uint32_t index), uint32_t stop_at)
{
    struct listing listing = {.check = check, .stop_at = stop_at};
    STRID_CHECK_OK(sink.ops->browse(&sink.at.args, take, &listing, &err), err);
    return listing.count;
}

#define EQUAL(bytes, text) cr_assert(strid_bytes_equal(bytes, strid_bytes_of_text(text)))

static void check_whole(const strid_output *letter, uint32_t index)
{
    const strid_dead_letter *origin = letter->dead_letter;
    cr_assert_eq(index, 0u);
    EQUAL(letter->id, "p/t/0/1/0");
    cr_assert(strid_bytes_equal(letter->key, strid_bytes_of("\0k", 2)));
    cr_assert(strid_bytes_equal(letter->value, strid_bytes_of("\xff\r\n\0", 4)));
    cr_assert_eq(letter->timestamp_ms, 1234);
    cr_assert_eq(letter->header_count, 3u);
    EQUAL(letter->headers[0].name, "h");
    EQUAL(letter->headers[0].value, "1");
    EQUAL(letter->headers[1].name, "h");
    cr_assert_null(letter->headers[1].value.data);
    EQUAL(letter->headers[2].name, "");
    cr_assert(letter->headers[2].value.data != NULL && letter->headers[2].value.len == 0);
    cr_assert_str_eq(origin->source, "redis://h/s");
    EQUAL(origin->topic, "orders");
    cr_assert_eq(origin->partition, 7u);
    cr_assert(origin->position.high == 0 && origin->position.low == 5);
    EQUAL(origin->reason, "rejected: no");
    EQUAL(origin->type, "order");
    cr_assert_eq(origin->first_failure_ms, 1700000000001);
    cr_assert_eq(origin->last_failure_ms, 1700000000002);
    cr_assert_eq(origin->attempts, 3u);
    cr_assert_str_eq(origin->pipeline, "p");
    cr_assert_str_eq(origin->node, "n");
}

static strid_dead_letter a_letter(void)
{
    return (strid_dead_letter){.source = "redis://h/s",
                               .topic = strid_bytes_of_text("orders"),
                               .partition = 7,
                               .position = {0, 5},
                               .reason = strid_bytes_of_text("rejected: no"),
                               .type = strid_bytes_of_text("order"),
                               .first_failure_ms = 1700000000001,
                               .last_failure_ms = 1700000000002,
                               .attempts = 3,
                               .pipeline = "p",
                               .node = "n"};
}

static void write_letter(strid_bytes key, strid_bytes value, const strid_header *headers,
                         uint32_t header_count)
{
    strid_dead_letter letter = a_letter();
    strid_output output = {.id = strid_bytes_of_text("p/t/0/1/0"),
                           .key = key,
                           .value = value,
                           .timestamp_ms = 1234,
                           .headers = headers,
                           .header_count = header_count,
                           .dead_letter = &letter};
    STRID_CHECK_OK(sink.ops->write(sink.self, &output, 1, &err), err);
}

Test(redis_sink, dead_letter_comes_back_byte_by_byte)
{
    strid_header headers[] = {{strid_bytes_of_text("h"), strid_bytes_of_text("1")},
                              {strid_bytes_of_text("h"), strid_bytes_of(NULL, 0)},
                              {strid_bytes_of("", 0), strid_bytes_of("", 0)}};
    STRID_CHECK_OK(try_open("orders-dlq"), err);
    write_letter(strid_bytes_of("\0k", 2), strid_bytes_of("\xff\r\n\0", 4), headers, 3);
    STRID_CHECK_OK(flush(), err);
    cr_assert_eq(browse(check_whole, 0), 1u);
}

static void check_absent(const strid_output *letter, uint32_t index)
{
    cr_assert_null(letter->key.data);
    cr_assert_eq(letter->value.data == NULL, index == 0);
    cr_assert_eq(letter->value.len, 0u);
}

Test(redis_sink, absent_and_empty_values_stay_apart)
{
    STRID_CHECK_OK(try_open("orders-dlq"), err);
    write_letter(strid_bytes_of(NULL, 0), strid_bytes_of(NULL, 0), NULL, 0);
    write_letter(strid_bytes_of(NULL, 0), strid_bytes_of("", 0), NULL, 0);
    STRID_CHECK_OK(flush(), err);
    cr_assert_eq(browse(check_absent, 0), 2u);
}

static void check_foreign(const strid_output *letter, uint32_t index)
{
    const strid_dead_letter *origin = letter->dead_letter;
    EQUAL(origin->topic, "orders");
    cr_assert(origin->position.high == 1700000000000 && origin->position.low == 3);
    if (index == 0) {
        EQUAL(letter->id, "1-1");
        EQUAL(origin->reason, "boom");
        cr_assert_eq(origin->last_failure_ms, 1700000000500);
        EQUAL(letter->value, "{\"event\": \"paid\", \"n\": \"1\"}");
    } else {
        EQUAL(origin->reason, "max retries");
        cr_assert_eq(origin->attempts, 4u);
        cr_assert_eq(origin->last_failure_ms, 1700000000500);
        EQUAL(letter->value, "{\"data\": \"{\\\"a\\\":1}\"}");
    }
}

Test(redis_sink, letters_of_pspf_and_robust_stream_processor_are_read_and_others_passed_over)
{
    STRID_CHECK_OK(try_open("d"), err);
    EXPECT("$3\r\n1-1\r\n", "XADD", "d", "1-1", "event", "paid", "n", "1", "_error", "boom",
           "_original_stream", "orders", "_original_msg_id", "1700000000000-3", "_moved_timestamp",
           "1700000000.5");
    EXPECT("$3\r\n1-2\r\n", "XADD", "d", "1-2", "some", "entry");
    EXPECT("$3\r\n1-3\r\n", "XADD", "d", "1-3", "original_stream", "orders", "original_id", "no id",
           "failure_reason", "x");
    EXPECT("$3\r\n1-4\r\n", "XADD", "d", "1-4", "data", "{\"a\":1}", "original_stream", "orders",
           "original_id", "1700000000000-3", "failure_reason", "max retries", "attempts", "4",
           "dlq_timestamp", "1700000000500");
    cr_assert_eq(browse(check_foreign, 0), 2u);
}

static void check_order(const strid_output *letter, uint32_t index)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", (unsigned)index);
    EQUAL(letter->value, text);
}

Test(redis_sink, letters_are_listed_over_pages_in_order_and_on_request_not_to_the_end)
{
    STRID_CHECK_OK(try_open("d"), err);
    cr_assert_eq(browse(NULL, 0), 0u);
    for (int i = 0; i < 450; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        write_letter(strid_bytes_of(NULL, 0), strid_bytes_of_text(text), NULL, 0);
    }
    STRID_CHECK_OK(flush(), err);
    cr_assert_eq(browse(check_order, 0), 450u);
    cr_assert_eq(browse(check_order, 201), 201u);
}
