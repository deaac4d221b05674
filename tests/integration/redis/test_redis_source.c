/* The Redis source as the engine drives it, on a real server. */
#include <criterion/criterion.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "conformance/connector_case.h"

#include <stdio.h>

#include "support/fault_proxy.h"
#include "support/redis_server.h"

enum { DEADLINE_MS = 20000 };

static struct redis_server redis;
static struct fault_proxy *proxy;
static struct opened_source one, two;
static struct strid_intake taken = {.is_unordered = true}, other = {.is_unordered = true};
static strid_error err = STRID_ERROR_INIT;

static void start(void)
{
    redis_server_start(&redis, &(struct redis_server_options){.append = REDIS_SERVER_APPEND_NO});
    proxy = fault_proxy_start(redis.port);
}

static void stop(void)
{
    source_close(&one);
    source_close(&two);
    intake_fini(&taken);
    intake_fini(&other);
    fault_proxy_stop(proxy);
    redis_server_remove(&redis);
}

TestSuite(redis_source, .init = start, .fini = stop);

static strid_status try_open(struct opened_source *source, const char *rest)
{
    char url[256];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%u/%s", (unsigned)fault_proxy_port(proxy),
                   rest);
    return source_open_url(source, url, &err);
}

static void assign(struct opened_source *source)
{
    STRID_CHECK_OK(source_assign_at(source, 0, NULL, strid_bytes_of(NULL, 0), &err), err);
}

static void open_at(struct opened_source *source, const char *rest)
{
    STRID_CHECK_OK(try_open(source, rest), err);
    assign(source);
}

#define ASK(...) ask((const char *const[]){__VA_ARGS__, NULL})

/* What the server answers, until the next call. */
static const char *ask(const char *const *words)
{
    static struct buffer reply;
    buffer_clear(&reply);
    cr_assert(redis_server_ask(&redis, &reply, words));
    buffer_put_u8(&reply, 0);
    return (const char *)reply.data;
}

static void add(const char *stream, int first, int count)
{
    char id[24], value[24];
    for (int i = first; i < first + count; i++) {
        (void)snprintf(id, sizeof id, "5-%d", i + 1);
        (void)snprintf(value, sizeof value, "v%d", i);
        (void)ASK("XADD", stream, id, "k", "key", "value", value);
    }
}

static void poll_once(struct opened_source *source, struct strid_intake *intake)
{
    intake->passed = (strid_position){0, 0};
    strid_status status = source->ops->poll(source->self, 0, intake, 512, &err);
    cr_assert_geq(status, 0, "%s", err.message);
}

struct wanted {
    struct opened_source *source;
    struct strid_intake *intake;
    size_t count;
};

static bool has_all(void *user)
{
    struct wanted *wanted = user;
    poll_once(wanted->source, wanted->intake);
    return wanted->intake->count >= wanted->count;
}

static void poll_until(struct opened_source *source, struct strid_intake *intake, size_t count)
{
    struct wanted wanted = {source, intake, count};
    cr_assert(support_wait(has_all, &wanted, DEADLINE_MS), "%zu of %zu", intake->count, count);
    cr_assert_null(intake->violation, "%s", intake->violation);
}

/* Everything that was taken is acknowledged, and the server has it. */
static void ack_from(struct opened_source *source, struct strid_intake *intake, size_t first)
{
    for (size_t i = first; i < intake->count; i++)
        source->ops->ack_many(source->self, 0, &intake->records[i].position, 1);
}

struct confirmed {
    struct opened_source *source;
    uint64_t count;
};

static bool is_confirmed(void *user)
{
    struct confirmed *confirmed = user;
    cr_assert_geq(confirmed->source->ops->pump(confirmed->source->self, 0, true, &err), 0);
    return confirmed->source->ops->acked(confirmed->source->self, 0) >= confirmed->count;
}

static void wait_confirmed(struct opened_source *source, uint64_t count)
{
    struct confirmed confirmed = {source, count};
    cr_assert(support_wait(is_confirmed, &confirmed, DEADLINE_MS));
}

static const char *pending(const char *stream) { return ASK("XPENDING", stream, "g"); }

static const char none[] = "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n";

/* The first of "v0" to "v<count - 1>" that was not taken, or `count`. */
static size_t first_missing(const struct strid_intake *intake, size_t count)
{
    bool *seen = memory_alloc_zeroed(count);
    size_t missing = 0;
    for (size_t i = 0; i < intake->count; i++) {
        int index = -1;
        strid_bytes value = intake_value(intake, i);
        char text[64] = "";
        memcpy(text, value.data, value.len < sizeof text ? value.len : sizeof text - 1);
        cr_assert_eq(sscanf(text, "v%d", &index), 1, "%s", text);
        cr_assert(index >= 0 && (size_t)index < count);
        seen[index] = true;
    }
    while (missing < count && seen[missing])
        missing++;
    memory_free(seen);
    return missing;
}

static void check_all(const struct strid_intake *intake, size_t count)
{
    cr_assert_eq(first_missing(intake, count), count);
}

static bool has_seen_all(void *user)
{
    struct wanted *wanted = user;
    poll_once(wanted->source, wanted->intake);
    return first_missing(wanted->intake, wanted->count) == wanted->count;
}

Test(redis_source, entries_are_delivered_in_order_and_acknowledged)
{
    add("s", 0, 3000);
    open_at(&one, "s?group=g&field=value&count=500");
    poll_until(&one, &taken, 3000);
    cr_assert_eq(taken.count, 3000u);
    for (size_t i = 0; i < taken.count; i++)
        cr_assert_eq(taken.records[i].position.low, i + 1);
    cr_assert(strstr(pending("s"), ":3000\r\n") != NULL);
    ack_from(&one, &taken, 0);
    wait_confirmed(&one, 3000);
    cr_assert_str_eq(pending("s"), none);
}

Test(redis_source, what_is_refused_is_offered_again)
{
    add("s", 0, 300);
    taken.refuse_one_in = 3;
    open_at(&one, "s?group=g&field=value&count=7");
    poll_until(&one, &taken, 300);
    cr_assert_eq(taken.count, 300u);
    check_all(&taken, 300);
}

Test(redis_source, own_pending_entries_come_first_after_a_restart)
{
    add("s", 0, 20);
    open_at(&one, "s?group=g&field=value&consumer=me&count=6");
    poll_until(&one, &taken, 20);
    source_close(&one); /* as after a crash: nothing was acknowledged */
    add("s", 20, 5);
    intake_clear(&taken);
    open_at(&one, "s?group=g&field=value&consumer=me&count=6");
    poll_until(&one, &taken, 25);
    cr_assert_eq(taken.count, 25u);
    for (size_t i = 0; i < 25; i++)
        cr_assert_eq(taken.records[i].position.low, i + 1);
}

Test(redis_source, consumer_keeps_its_name_in_the_state_directory)
{
    uint8_t name[STRID_FINGERPRINT_MAX];
    add("s", 0, 3);
    open_at(&one, "s?group=g&field=value");
    poll_until(&one, &taken, 3);
    size_t len = one.ops->fingerprint(one.self, 0, name);
    source_close(&one);
    intake_clear(&taken);
    STRID_CHECK_OK(try_open(&one, "s?group=g&field=value"), err);
    strid_position position = {5, 4};
    STRID_CHECK_OK(source_assign_at(&one, 0, &position, strid_bytes_of(name, len), &err), err);
    poll_until(&one, &taken, 3);
}

/* D6 and D16: by a consumer that runs, and handed to the handler. */
Test(redis_source, entries_of_a_dead_consumer_are_claimed_by_a_running_one)
{
    add("s", 0, 250);
    open_at(&one, "s?group=g&field=value&consumer=dead&count=1000");
    poll_until(&one, &taken, 250);
    open_at(&two, "s?group=g&field=value&consumer=alive&claim_idle=200ms&block=20ms");
    poll_once(&two, &other);
    source_close(&one);
    poll_until(&two, &other, 250);
    check_all(&other, 250);
    ack_from(&two, &other, 0);
    wait_confirmed(&two, other.count);
    cr_assert_str_eq(pending("s"), none);
}

static bool both_polled_for_a_while(void *user)
{
    size_t *polls = user;
    poll_once(&one, &taken);
    poll_once(&two, &other);
    return ++*polls > 1200;
}

/* What waits in the engine is kept from looking abandoned. */
Test(redis_source, entries_of_a_consumer_that_lives_are_not_claimed)
{
    size_t polls = 0;
    add("s", 0, 50);
    open_at(&one, "s?group=g&field=value&consumer=slow&claim_idle=600ms&block=20ms");
    poll_until(&one, &taken, 50);
    open_at(&two, "s?group=g&field=value&consumer=idle&claim_idle=600ms&block=20ms");
    cr_assert(support_wait(both_polled_for_a_while, &polls, DEADLINE_MS));
    cr_assert_eq(other.count, 0u);
    cr_assert_eq(taken.count, 50u);
}

Test(redis_source, entries_that_are_gone_are_passed_over_and_let_go)
{
    add("s", 0, 10);
    open_at(&one, "s?group=g&field=value&consumer=me");
    poll_until(&one, &taken, 10);
    source_close(&one);
    (void)ASK("XDEL", "s", "5-2", "5-3");
    intake_clear(&taken);
    open_at(&one, "s?group=g&field=value&consumer=me");
    poll_until(&one, &taken, 8);
    cr_assert_eq(taken.count, 8u);
    ack_from(&one, &taken, 0);
    wait_confirmed(&one, 8);
    cr_assert_str_eq(pending("s"), none);
}

Test(redis_source, trimmed_entries_of_a_dead_consumer_do_no_harm)
{
    add("s", 0, 10);
    open_at(&one, "s?group=g&field=value&consumer=dead");
    poll_until(&one, &taken, 10);
    source_close(&one);
    (void)ASK("XTRIM", "s", "MAXLEN", "4");
    open_at(&two, "s?group=g&field=value&consumer=alive&claim_idle=50ms&block=10ms");
    poll_until(&two, &other, 4);
    ack_from(&two, &other, 0);
    wait_confirmed(&two, 4);
    cr_assert_str_eq(pending("s"), none);
}

Test(redis_source, group_that_is_gone_is_made_again_behind_what_was_read)
{
    add("s", 0, 10);
    open_at(&one, "s?group=g&field=value&block=10ms");
    poll_until(&one, &taken, 10);
    (void)ASK("XGROUP", "DESTROY", "s", "g");
    add("s", 10, 5);
    intake_clear(&taken);
    poll_until(&one, &taken, 5);
    cr_assert_eq(taken.count, 5u);
    cr_assert_eq(taken.records[0].position.low, 11u);
}

Test(redis_source, stream_that_was_flushed_is_read_on)
{
    add("s", 0, 10);
    open_at(&one, "s?group=g&field=value&block=10ms");
    poll_until(&one, &taken, 10);
    (void)ASK("FLUSHALL");
    intake_clear(&taken);
    add("s", 0, 4); /* lower IDs than before: the stream was made anew */
    poll_until(&one, &taken, 4);
    check_all(&taken, 4);
}

Test(redis_source, group_begins_where_it_is_told)
{
    add("s", 0, 10);
    open_at(&one, "s?group=late&field=value&start=latest");
    poll_once(&one, &taken);
    add("s", 10, 2);
    poll_until(&one, &taken, 2);
    cr_assert_eq(taken.records[0].position.low, 11u);
}

Test(redis_source, fields_are_an_object_or_one_of_them_is_the_value)
{
    (void)ASK("XADD", "s", "9-9", "user", "a\"b", "n", "1");
    (void)ASK("XADD", "s", "10-0", "user", "\xff", "n", "1");
    open_at(&one, "s?group=g&key_field=user");
    poll_until(&one, &taken, 2);
    const char *object = "{\"user\":\"a\\\"b\",\"n\":\"1\"}";
    cr_assert(strid_bytes_equal(intake_value(&taken, 0), strid_bytes_of_text(object)));
    cr_assert(strid_bytes_equal(intake_key(&taken, 0), strid_bytes_of_text("a\"b")));
    cr_assert_str_eq(taken.records[1].fault, "not_utf8");
    cr_assert_eq(taken.records[1].header_count, 2u); /* nothing is lost of it */
    intake_clear(&taken);
    open_at(&two, "s?group=h&field=n&key_field=user");
    poll_until(&two, &taken, 2);
    cr_assert(strid_bytes_equal(intake_value(&taken, 1), strid_bytes_of_text("1")));
    cr_assert(strid_bytes_equal(intake_key(&taken, 1), strid_bytes_of("\xff", 1)));
    intake_clear(&taken);
    source_close(&one);
    open_at(&one, "s?group=i&field=absent");
    poll_until(&one, &taken, 2);
    cr_assert_str_eq(taken.records[0].fault, "field_missing");
    cr_assert_eq(taken.records[0].header_count, 2u);
}

Test(redis_source, several_streams_are_partitions)
{
    (void)ASK("XADD", "a", "1-1", "value", "of a");
    (void)ASK("XADD", "b,c", "1-1", "value", "of b,c");
    STRID_CHECK_OK(try_open(&one, "a,b%2Cc?group=g&field=value"), err);
    cr_assert_eq(one.ops->partition_count(one.self), 2u);
    strid_partition_info info[2];
    for (uint32_t p = 0; p < 2; p++) {
        one.ops->describe(one.self, p, &info[p]);
        STRID_CHECK_OK(source_assign_at(&one, p, NULL, strid_bytes_of(NULL, 0), &err), err);
    }
    cr_assert_str_eq(info[0].topic, "a");
    cr_assert_str_eq(info[1].topic, "b,c");
    cr_assert_str_neq(info[0].identity, info[1].identity);
    poll_until(&one, &taken, 1);
    while (taken.count < 2)
        cr_assert_geq(one.ops->poll(one.self, 1, &taken, 16, &err), 0);
    cr_assert(strid_bytes_equal(intake_value(&taken, 1), strid_bytes_of_text("of b,c")));
}

static void survive(const struct fault_proxy_rules *rules, int cut)
{
    add("s", 0, 400);
    open_at(&one, "s?group=g&field=value&count=50&block=10ms&timeout=500ms");
    poll_until(&one, &taken, 100);
    if (rules != NULL)
        fault_proxy_set(proxy, rules);
    if (cut >= 0)
        fault_proxy_cut_all(proxy, (fault_proxy_cut)cut);
    for (int i = 0; i < 5; i++)
        poll_once(&one, &taken);
    add("s", 400, 100);
    fault_proxy_set(proxy, &(struct fault_proxy_rules){.piece_bytes = rules == NULL ? 0 : 7});
    struct wanted wanted = {&one, &taken, 500}; /* some come twice, which the engine knows */
    cr_assert(support_wait(has_seen_all, &wanted, DEADLINE_MS));
    ack_from(&one, &taken, 0);
    wait_confirmed(&one, taken.count);
    cr_assert_str_eq(pending("s"), none);
}

Test(redis_source, connection_that_is_reset_loses_nothing) { survive(NULL, FAULT_PROXY_CUT_RESET); }
Test(redis_source, connection_that_ends_loses_nothing) { survive(NULL, FAULT_PROXY_CUT_CLOSE); }

Test(redis_source, replies_cut_in_the_middle_and_in_pieces_lose_nothing)
{
    survive(&(struct fault_proxy_rules){.reset_at_bytes = 1500}, -1);
}

/* D17: asked for seldom, and for much at a time. */
Test(redis_source, commands_are_few)
{
    add("s", 0, 5000);
    (void)ASK("CONFIG", "RESETSTAT");
    open_at(&one, "s?group=g&field=value");
    poll_until(&one, &taken, 5000);
    for (size_t i = 0; i < taken.count; i += 1000) {
        strid_position positions[1000];
        for (size_t k = 0; k < 1000; k++)
            positions[k] = taken.records[i + k].position;
        one.ops->ack_many(one.self, 0, positions, 1000);
    }
    wait_confirmed(&one, 5000);
    const char *stats = ASK("INFO", "stats");
    const char *at = strstr(stats, "total_commands_processed:");
    unsigned long commands = 0;
    cr_assert(at != NULL && sscanf(at, "total_commands_processed:%lu", &commands) == 1);
    cr_assert_lt(commands, 30ul, "%lu for 5,000 entries", commands);
}

Test(redis_source, server_that_is_away_is_tried_as_often_as_told)
{
    fault_proxy_set(proxy, &(struct fault_proxy_rules){.refuse = true});
    STRID_CHECK_OK(try_open(&one, "s?group=g&attempts=3&attempt_delay=10ms"), err);
    cr_assert_eq(source_assign_at(&one, 0, NULL, strid_bytes_of(NULL, 0), &err),
                 STRID_EUNREACHABLE);
    cr_assert_geq(fault_proxy_counts(proxy).accepted, 3u);
}

Test(redis_source, wrong_options_and_keys_are_refused)
{
    cr_assert_eq(try_open(&one, "s"), STRID_ECONFIG);
    cr_assert(strstr(err.message, "group") != NULL, "%s", err.message);
    cr_assert_eq(try_open(&one, "s?group=g&block=2s&timeout=1s"), STRID_ECONFIG);
    cr_assert_eq(try_open(&one, "s,,t?group=g"), STRID_ECONFIG);
    (void)ASK("SET", "text", "no stream");
    STRID_CHECK_OK(try_open(&one, "text?group=g"), err);
    cr_assert_eq(source_assign_at(&one, 0, NULL, strid_bytes_of(NULL, 0), &err), STRID_ECONFIG);
    cr_assert(strstr(err.message, "text") != NULL, "%s", err.message);
}

Test(redis_source, dead_letter_queue_is_beside_the_stream)
{
    char url[512];
    struct opened_sink sink = {0};
    open_at(&one, "a%2Fb?group=g");
    STRID_CHECK_OK(one.ops->dlq_url(one.self, url, sizeof url), err);
    STRID_CHECK_OK(sink_open_url(&sink, url, &err), err);
    strid_dead_letter letter = {.source = "s", .pipeline = "p", .node = "n"};
    strid_output output = {.value = strid_bytes_of_text("v"), .dead_letter = &letter};
    STRID_CHECK_OK(sink.ops->write(sink.self, &output, 1, &err), err);
    STRID_CHECK_OK(sink.ops->flush(sink.self, &err), err);
    sink_close(&sink);
    cr_assert_str_eq(ASK("XLEN", "a/b-dlq"), ":1\r\n");
    cr_assert_eq(one.ops->dlq_url(one.self, url, 8), STRID_ELIMIT);
}
