/* What every sink does alike (strid/sink.h). */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "base/buffer.h"
#include "pipeline/registry.h"

#include <hiredis/hiredis.h>

#include "support/redis_server.h"

#include "connector_case.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SINK_CASES = 4,
    KAFKA_SINK = SINK_CASES,
    FILE_SINK = 0,
    MEMORY_SINK = 1,
    REDIS_SINK = 2,
    REDIS_TLS_SINK = 3
};

struct sink_case {
    struct support_directory directory;
    struct redis_server redis; /* of REDIS_SINK and REDIS_TLS_SINK */
    struct opened_sink sink;
    strid_error err;
    int index;
    size_t before; /* of KAFKA_SINK: what others left in the topic */
    char path[SUPPORT_PATH_MAX];
    char url[SUPPORT_PATH_MAX + 64];
};

static int indexes[SINK_CASES + 1] = {FILE_SINK, MEMORY_SINK, REDIS_SINK, REDIS_TLS_SINK,
                                      KAFKA_SINK};

/* All that is in the topic: its values from the one on that is given, each a line. */
static size_t read_topic(struct buffer *text, size_t from)
{
    char url[256];
    struct opened_source source;
    struct strid_intake intake = {0};
    strid_error err = STRID_ERROR_INIT;
    (void)snprintf(url, sizeof url,
                   "kafka://%s/conformance-out?follow=false&kafka.fetch.wait.max.ms=5",
                   connector_case_kafka());
    STRID_CHECK_OK(source_open_url(&source, url, &err), err);
    STRID_CHECK_OK(source_assign_at(&source, 0, NULL, strid_bytes_of(NULL, 0), &err), err);
    cr_assert_eq(source_drain(&source, 0, &intake, 100, &err), STRID_EOF, "%s", err.message);
    size_t count = intake.count;
    for (size_t i = from; i < count; i++) {
        buffer_put_bytes(text, intake_value(&intake, i));
        buffer_put_u8(text, '\n');
    }
    intake_fini(&intake);
    source_close(&source);
    return count;
}

static void open_case(struct sink_case *at, int index)
{
    *at = (struct sink_case){.index = index};
    support_directory_create(&at->directory);
    support_path(&at->directory, "out.jsonl", at->path);
    if (index == REDIS_SINK) {
        redis_server_start(&at->redis, &(struct redis_server_options){0});
        (void)snprintf(at->url, sizeof at->url, "redis:///out?socket=%s", at->redis.socket);
    } else if (index == REDIS_TLS_SINK) {
        redis_server_start(&at->redis, &(struct redis_server_options){.has_tls = true});
        (void)snprintf(at->url, sizeof at->url, "rediss://localhost:%u/out?ca=%s",
                       (unsigned)at->redis.tls_port, at->redis.cert);
    } else if (index == KAFKA_SINK) {
        struct buffer none = {0};
        at->before = read_topic(&none, SIZE_MAX);
        (void)snprintf(at->url, sizeof at->url, "kafka://%s/conformance-out?kafka.linger.ms=60000",
                       connector_case_kafka()); /* nothing is on its way before a flush */
    } else {
        (void)snprintf(at->url, sizeof at->url,
                       index == FILE_SINK ? "file:%s?format=value" : "memory:%s", at->path);
    }
    STRID_CHECK_OK(sink_open_url(&at->sink, at->url, &at->err), at->err);
}

static void close_case(struct sink_case *at)
{
    sink_close(&at->sink);
    redis_server_remove(&at->redis);
    support_directory_remove(&at->directory);
}

#define SINK_TEST(name)                                                                            \
    static void name(struct sink_case *at);                                                        \
    ParameterizedTestParameters(sinks, name)                                                       \
    {                                                                                              \
        if (connector_case_kafka() != NULL)                                                        \
            return cr_make_param_array(int, indexes + KAFKA_SINK, 1);                              \
        return cr_make_param_array(int, indexes, SINK_CASES);                                      \
    }                                                                                              \
    ParameterizedTest(int *index, sinks, name)                                                     \
    {                                                                                              \
        struct sink_case at;                                                                       \
        open_case(&at, *index);                                                                    \
        name(&at);                                                                                 \
        close_case(&at);                                                                           \
    }                                                                                              \
    static void name(struct sink_case *at)

static strid_status write_range(struct sink_case *at, int first, int count)
{
    strid_output outputs[64];
    char texts[64][16];
    cr_assert_leq(count, 64);
    for (int i = 0; i < count; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%d", first + i);
        outputs[i] = (strid_output){.id = strid_bytes_of_text("id"),
                                    .value = strid_bytes_of_text(texts[i]),
                                    .timestamp_ms = STRID_TIMESTAMP_NONE};
    }
    return at->sink.ops->write(at->sink.self, outputs, (uint32_t)count, &at->err);
}

static strid_status flush(struct sink_case *at)
{
    return at->sink.ops->flush(at->sink.self, &at->err);
}

/* The last field of each entry is its value. */
static void put_entries(struct redis_server *redis, struct buffer *text)
{
    redisContext *context = redisConnectUnix(redis->socket);
    redisReply *entries = redisCommand(context, "XRANGE out - +");
    cr_assert(entries != NULL && entries->type == REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < entries->elements; i++) {
        const redisReply *fields = entries->element[i]->element[1];
        const redisReply *value = fields->element[fields->elements - 1];
        buffer_put(text, value->str, value->len);
        buffer_put_u8(text, '\n');
    }
    freeReplyObject(entries);
    redisFree(context);
}

/* What has arrived, one value a line; freed by the caller. The memory sink gives it only once. */
static char *arrived(struct sink_case *at)
{
    if (at->index == FILE_SINK) {
        char *text = support_read_file(at->path, NULL);
        return text == NULL ? calloc(1, 1) : text;
    }
    struct buffer text = {0};
    strid_output output;
    if (at->index == REDIS_SINK || at->index == REDIS_TLS_SINK)
        put_entries(&at->redis, &text);
    if (at->index == KAFKA_SINK)
        (void)read_topic(&text, at->before);
    while (at->index == MEMORY_SINK && at->sink.ops->take(at->sink.self, &output) == STRID_OK) {
        buffer_put_bytes(&text, output.value);
        buffer_put_u8(&text, '\n');
    }
    buffer_put_u8(&text, 0);
    return (char *)text.data;
}

static void expect(struct sink_case *at, int first, int count)
{
    char *text = arrived(at);
    const char *line = text;
    for (int i = 0; i < count; i++) {
        char *end = NULL;
        cr_assert_eq(strtol(line, &end, 10), first + i, "%s: line %d of %s", at->url, i, text);
        cr_assert_eq(*end, '\n');
        line = end + 1;
    }
    cr_assert_eq(*line, '\0', "%s: more than %d lines: %s", at->url, count, text);
    free(text);
}

SINK_TEST(keeps_the_order_over_writes_and_flushes)
{
    STRID_CHECK_OK(write_range(at, 0, 10), at->err);
    STRID_CHECK_OK(write_range(at, 10, 1), at->err);
    STRID_CHECK_OK(flush(at), at->err);
    STRID_CHECK_OK(write_range(at, 11, 40), at->err);
    STRID_CHECK_OK(flush(at), at->err);
    expect(at, 0, 51);
}

SINK_TEST(nothing_has_arrived_before_a_flush)
{
    STRID_CHECK_OK(write_range(at, 0, 10), at->err);
    expect(at, 0, 0);
    STRID_CHECK_OK(flush(at), at->err);
    expect(at, 0, 10);
}

SINK_TEST(writes_and_flushes_of_nothing_are_fine)
{
    STRID_CHECK_OK(flush(at), at->err);
    STRID_CHECK_OK(write_range(at, 0, 0), at->err);
    STRID_CHECK_OK(flush(at), at->err);
    expect(at, 0, 0);
    STRID_CHECK_OK(write_range(at, 0, 1), at->err);
    STRID_CHECK_OK(flush(at), at->err);
    STRID_CHECK_OK(flush(at), at->err);
    expect(at, 0, 1);
}

SINK_TEST(closes_with_unflushed_outputs)
{
    STRID_CHECK_OK(write_range(at, 0, 10), at->err);
    sink_close(&at->sink);
    STRID_CHECK_OK(sink_open_url(&at->sink, at->url, &at->err), at->err);
    expect(at, 0, 0);
}

SINK_TEST(fills_its_table)
{
    const strid_sink_ops *ops = at->sink.ops;
    cr_assert_eq(ops->abi_version, STRID_SINK_ABI_VERSION);
    cr_assert_eq(registry_find_sink(ops->name, strlen(ops->name)), ops);
    cr_assert(ops->summary != NULL && ops->options != NULL && ops->options_size > 0);
    cr_assert(ops->browse != NULL || ops->take != NULL);
    for (const strid_option *option = ops->options; option->name != NULL; option++)
        cr_assert(option->doc != NULL && option->offset < ops->options_size, "%s", option->name);
}

/* The memory sink alone. */

static strid_sink *memory_sink_of(struct opened_sink *sink, const char *url, strid_error *err)
{
    STRID_CHECK_OK(sink_open_url(sink, url, err), *err);
    return sink->self;
}

Test(memory_sink, is_full_until_something_is_taken)
{
    struct opened_sink sink;
    strid_error err = STRID_ERROR_INIT;
    strid_sink *self = memory_sink_of(&sink, "memory:out?capacity=4KiB", &err);
    char payload[3000] = {0};
    strid_output output = {.value = strid_bytes_of(payload, sizeof payload)};
    strid_output out;
    STRID_CHECK_OK(sink.ops->write(self, &output, 1, &err), err);
    STRID_CHECK_OK(sink.ops->flush(self, &err), err);
    payload[0] = 1;
    cr_assert_eq(sink.ops->write(self, &output, 1, &err), STRID_ELIMIT);
    cr_assert(err.flags & STRID_ERROR_RETRIABLE);
    cr_assert(strstr(err.message, "memory:out is full") != NULL, "%s", err.message);
    STRID_CHECK_OK(sink.ops->flush(self, &err), err);
    cr_assert_eq(sink.ops->take(self, &out), STRID_OK);
    cr_assert_eq(out.value.data[0], 0);
    cr_assert_eq(sink.ops->take(self, &out), STRID_AGAIN, "what was refused did not arrive");
    STRID_CHECK_OK(sink.ops->write(self, &output, 1, &err), err);
    STRID_CHECK_OK(sink.ops->flush(self, &err), err);
    cr_assert_eq(sink.ops->take(self, &out), STRID_OK);
    cr_assert_eq(out.value.data[0], 1);
    sink_close(&sink);
}

Test(memory_sink, more_than_its_capacity_goes_through_when_it_is_empty)
{
    struct opened_sink sink;
    strid_error err = STRID_ERROR_INIT;
    strid_sink *self = memory_sink_of(&sink, "memory:out?capacity=1KiB", &err);
    char payload[3000] = {0};
    strid_output outputs[2] = {{.value = strid_bytes_of(payload, sizeof payload)},
                               {.value = strid_bytes_of(payload, sizeof payload)}};
    strid_output out;
    STRID_CHECK_OK(sink.ops->write(self, outputs, 2, &err), err);
    STRID_CHECK_OK(sink.ops->flush(self, &err), err);
    cr_assert_eq(sink.ops->take(self, &out), STRID_OK);
    cr_assert_eq(sink.ops->take(self, &out), STRID_OK);
    cr_assert_eq(sink.ops->take(self, &out), STRID_AGAIN);
    sink_close(&sink);
}

Test(memory_sink, copies_all_parts_of_a_dead_letter)
{
    struct opened_sink sink;
    strid_error err = STRID_ERROR_INIT;
    strid_sink *self = memory_sink_of(&sink, "memory:out", &err);
    char bytes[8] = "abcdefg";
    char text[8] = "texts";
    strid_header headers[2] = {{strid_bytes_of(bytes, 2), strid_bytes_of(bytes + 2, 3)},
                               {strid_bytes_of(bytes, 0), strid_bytes_of(NULL, 0)}};
    strid_dead_letter letter = {.source = text,
                                .topic = strid_bytes_of(bytes, 3),
                                .reason = strid_bytes_of(bytes, 4),
                                .type = strid_bytes_of(bytes, 5),
                                .pipeline = text + 1,
                                .node = text + 2,
                                .attempts = 3};
    strid_output output = {.id = strid_bytes_of(bytes, 1),
                           .key = strid_bytes_of(bytes + 1, 2),
                           .headers = headers,
                           .header_count = 2,
                           .dead_letter = &letter};
    strid_output out;
    STRID_CHECK_OK(sink.ops->write(self, &output, 1, &err), err);
    STRID_CHECK_OK(sink.ops->flush(self, &err), err);
    memset(bytes, 'x', sizeof bytes);
    memset(text, 'x', sizeof text - 1);
    cr_assert_eq(sink.ops->take(self, &out), STRID_OK);
    cr_assert(strid_bytes_equal(out.id, strid_bytes_of_text("a")));
    cr_assert(strid_bytes_equal(out.key, strid_bytes_of_text("bc")));
    cr_assert_null(out.value.data);
    cr_assert(strid_bytes_equal(out.headers[0].name, strid_bytes_of_text("ab")));
    cr_assert(strid_bytes_equal(out.headers[0].value, strid_bytes_of_text("cde")));
    cr_assert(out.headers[1].name.data != NULL && out.headers[1].value.data == NULL);
    cr_assert_str_eq(out.dead_letter->source, "texts");
    cr_assert_str_eq(out.dead_letter->pipeline, "exts");
    cr_assert_str_eq(out.dead_letter->node, "xts");
    cr_assert(strid_bytes_equal(out.dead_letter->topic, strid_bytes_of_text("abc")));
    cr_assert(strid_bytes_equal(out.dead_letter->reason, strid_bytes_of_text("abcd")));
    cr_assert(strid_bytes_equal(out.dead_letter->type, strid_bytes_of_text("abcde")));
    cr_assert_eq(out.dead_letter->attempts, 3);
    sink_close(&sink);
}
