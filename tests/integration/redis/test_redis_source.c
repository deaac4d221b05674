/* The Redis source as the engine drives it, on a real server. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "redis_case.h"

static void start(void)
{
    redis_case_start(&(struct redis_server_options){.append = REDIS_SERVER_APPEND_NO});
}

TestSuite(redis_source, .init = start, .fini = redis_case_stop);

static const char *pending(const char *stream) { return ASK("XPENDING", stream, "g"); }

static const char none[] = "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n";

static void check_all(int index, size_t count)
{
    cr_assert_eq(redis_case_missing(index, count), count);
}

Test(redis_source, entries_are_delivered_in_order_and_acknowledged)
{
    redis_case_add("s", 0, 3000);
    redis_case_open(0, "s?group=g&mode=shared&field=value&count=500");
    redis_case_poll_until(0, 3000);
    cr_assert_eq(redis_case.intakes[0].count, 3000u);
    for (size_t i = 0; i < redis_case.intakes[0].count; i++)
        cr_assert_eq(redis_case.intakes[0].records[i].position.low, i + 1);
    cr_assert(strstr(pending("s"), ":3000\r\n") != NULL);
    redis_case_ack(0, 0);
    redis_case_confirm(0, 3000);
    cr_assert_str_eq(pending("s"), none);
}

Test(redis_source, what_is_refused_is_offered_again)
{
    redis_case_add("s", 0, 300);
    redis_case.intakes[0].refuse_one_in = 3;
    redis_case_open(0, "s?group=g&field=value&count=7");
    redis_case_poll_until(0, 300);
    cr_assert_eq(redis_case.intakes[0].count, 300u);
    check_all(0, 300);
}

Test(redis_source, own_pending_entries_come_first_after_a_restart)
{
    redis_case_add("s", 0, 20);
    redis_case_open(0, "s?group=g&field=value&consumer=me&count=6");
    redis_case_poll_until(0, 20);
    source_close(&redis_case.sources[0]); /* as after a crash: nothing was acknowledged */
    redis_case_add("s", 20, 5);
    intake_clear(&redis_case.intakes[0]);
    redis_case_open(0, "s?group=g&field=value&consumer=me&count=6");
    redis_case_poll_until(0, 25);
    cr_assert_eq(redis_case.intakes[0].count, 25u);
    for (size_t i = 0; i < 25; i++)
        cr_assert_eq(redis_case.intakes[0].records[i].position.low, i + 1);
}

Test(redis_source, consumer_keeps_its_name_in_the_state_directory)
{
    uint8_t name[STRID_FINGERPRINT_MAX];
    redis_case_add("s", 0, 3);
    redis_case_open(0, "s?group=g&field=value");
    redis_case_poll_until(0, 3);
    size_t len = redis_case.sources[0].ops->fingerprint(redis_case.sources[0].self, 0, name);
    source_close(&redis_case.sources[0]);
    intake_clear(&redis_case.intakes[0]);
    STRID_CHECK_OK(redis_case_try_open(0, "s?group=g&field=value"), redis_case.err);
    strid_position position = {5, 4};
    STRID_CHECK_OK(source_assign_at(&redis_case.sources[0], 0, &position, strid_bytes_of(name, len),
                                    &redis_case.err),
                   redis_case.err);
    redis_case_poll_until(0, 3);
}

/* D6 and D16: by a consumer that runs, and handed to the handler. */
Test(redis_source, entries_of_a_dead_consumer_are_claimed_by_a_running_one)
{
    redis_case_add("s", 0, 250);
    redis_case_open(0, "s?group=g&field=value&consumer=dead&count=1000");
    redis_case_poll_until(0, 250);
    redis_case_open(1, "s?group=g&field=value&consumer=alive&claim_idle=200ms&block=20ms");
    redis_case_poll(1);
    source_close(&redis_case.sources[0]);
    redis_case_poll_until(1, 250);
    check_all(1, 250);
    redis_case_ack(1, 0);
    redis_case_confirm(1, redis_case.intakes[1].count);
    cr_assert_str_eq(pending("s"), none);
}

static bool both_polled_for_a_while(void *user)
{
    size_t *polls = user;
    redis_case_poll(0);
    redis_case_poll(1);
    return ++*polls > 1200;
}

/* What waits in the engine is kept from looking abandoned. */
Test(redis_source, entries_of_a_consumer_that_lives_are_not_claimed)
{
    size_t polls = 0;
    redis_case_add("s", 0, 50);
    redis_case_open(0, "s?group=g&field=value&consumer=slow&claim_idle=600ms&block=20ms");
    redis_case_poll_until(0, 50);
    redis_case_open(1, "s?group=g&field=value&consumer=idle&claim_idle=600ms&block=20ms");
    cr_assert(support_wait(both_polled_for_a_while, &polls, REDIS_CASE_DEADLINE_MS));
    cr_assert_eq(redis_case.intakes[1].count, 0u);
    cr_assert_eq(redis_case.intakes[0].count, 50u);
}

Test(redis_source, entries_that_are_gone_are_passed_over_and_let_go)
{
    redis_case_add("s", 0, 10);
    redis_case_open(0, "s?group=g&field=value&consumer=me");
    redis_case_poll_until(0, 10);
    source_close(&redis_case.sources[0]);
    (void)ASK("XDEL", "s", "5-2", "5-3");
    intake_clear(&redis_case.intakes[0]);
    redis_case_open(0, "s?group=g&field=value&consumer=me");
    redis_case_poll_until(0, 8);
    cr_assert_eq(redis_case.intakes[0].count, 8u);
    cr_assert_eq(redis_case_count_logged("was deleted or trimmed while it was pending here"), 2u);
    redis_case_ack(0, 0);
    redis_case_confirm(0, 8);
    cr_assert_str_eq(pending("s"), none);
}

Test(redis_source, trimmed_entries_of_a_dead_consumer_do_no_harm)
{
    redis_case_add("s", 0, 10);
    redis_case_open(0, "s?group=g&field=value&consumer=dead");
    redis_case_poll_until(0, 10);
    source_close(&redis_case.sources[0]);
    (void)ASK("XTRIM", "s", "MAXLEN", "4");
    redis_case_open(1, "s?group=g&field=value&consumer=alive&claim_idle=50ms&block=10ms");
    redis_case_poll_until(1, 4);
    redis_case_poll_logged(1, "6 pending entries had been deleted or trimmed");
    redis_case_ack(1, 0);
    redis_case_confirm(1, 4);
    cr_assert_str_eq(pending("s"), none);
}

Test(redis_source, group_begins_where_it_is_told)
{
    redis_case_add("s", 0, 10);
    redis_case_open(0, "s?group=late&field=value&start=latest");
    redis_case_poll(0);
    redis_case_add("s", 10, 2);
    redis_case_poll_until(0, 2);
    cr_assert_eq(redis_case.intakes[0].records[0].position.low, 11u);
}

Test(redis_source, fields_are_an_object_or_one_of_them_is_the_value)
{
    (void)ASK("XADD", "s", "9-9", "user", "a\"b", "n", "1");
    (void)ASK("XADD", "s", "10-0", "user", "\xff", "n", "1");
    redis_case_open(0, "s?group=g&key_field=user");
    redis_case_poll_until(0, 2);
    const char *object = "{\"user\":\"a\\\"b\",\"n\":\"1\"}";
    cr_assert(
        strid_bytes_equal(intake_value(&redis_case.intakes[0], 0), strid_bytes_of_text(object)));
    cr_assert(
        strid_bytes_equal(intake_key(&redis_case.intakes[0], 0), strid_bytes_of_text("a\"b")));
    cr_assert_str_eq(redis_case.intakes[0].records[1].fault, "not_utf8");
    cr_assert_eq(redis_case.intakes[0].records[1].header_count, 2u); /* nothing is lost of it */
    intake_clear(&redis_case.intakes[0]);
    redis_case_open(1, "s?group=h&field=n&key_field=user");
    redis_case_poll_until(1, 2);
    cr_assert(strid_bytes_equal(intake_value(&redis_case.intakes[1], 1), strid_bytes_of_text("1")));
    cr_assert(strid_bytes_equal(intake_key(&redis_case.intakes[1], 1), strid_bytes_of("\xff", 1)));
    intake_clear(&redis_case.intakes[0]);
    source_close(&redis_case.sources[0]);
    redis_case_open(0, "s?group=i&field=absent");
    redis_case_poll_until(0, 2);
    cr_assert_str_eq(redis_case.intakes[0].records[0].fault, "field_missing");
    cr_assert_eq(redis_case.intakes[0].records[0].header_count, 2u);
}

Test(redis_source, several_streams_are_partitions)
{
    (void)ASK("XADD", "a", "1-1", "value", "of a");
    (void)ASK("XADD", "b,c", "1-1", "value", "of b,c");
    STRID_CHECK_OK(redis_case_try_open(0, "a,b%2Cc?group=g&field=value"), redis_case.err);
    cr_assert_eq(redis_case.sources[0].ops->partition_count(redis_case.sources[0].self), 2u);
    strid_partition_info info[2];
    for (uint32_t p = 0; p < 2; p++) {
        redis_case.sources[0].ops->describe(redis_case.sources[0].self, p, &info[p]);
        STRID_CHECK_OK(source_assign_at(&redis_case.sources[0], p, NULL, strid_bytes_of(NULL, 0),
                                        &redis_case.err),
                       redis_case.err);
    }
    cr_assert_str_eq(info[0].topic, "a");
    cr_assert_str_eq(info[1].topic, "b,c");
    cr_assert_str_neq(info[0].identity, info[1].identity);
    redis_case_poll_until(0, 1);
    while (redis_case.intakes[0].count < 2)
        cr_assert_geq(redis_case.sources[0].ops->poll(redis_case.sources[0].self, 1,
                                                      &redis_case.intakes[0], 16, &redis_case.err),
                      0);
    cr_assert(
        strid_bytes_equal(intake_value(&redis_case.intakes[0], 1), strid_bytes_of_text("of b,c")));
}

static void survive(const struct fault_proxy_rules *rules, int cut)
{
    redis_case_add("s", 0, 400);
    redis_case_open(0, "s?group=g&field=value&count=50&block=10ms&timeout=500ms");
    redis_case_poll_until(0, 100);
    if (rules != NULL)
        fault_proxy_set(redis_case.proxy, rules);
    if (cut >= 0)
        fault_proxy_cut_all(redis_case.proxy, (fault_proxy_cut)cut);
    for (int i = 0; i < 5; i++)
        redis_case_poll(0);
    redis_case_add("s", 400, 100);
    fault_proxy_set(redis_case.proxy,
                    &(struct fault_proxy_rules){.piece_bytes = rules == NULL ? 0 : 7});
    redis_case_poll_all(0, 500); /* some come twice, which the engine knows */
    redis_case_ack(0, 0);
    redis_case_confirm(0, redis_case.intakes[0].count);
    cr_assert_str_eq(pending("s"), none);
}

Test(redis_source, connection_that_is_reset_loses_nothing) { survive(NULL, FAULT_PROXY_CUT_RESET); }
Test(redis_source, connection_that_ends_loses_nothing) { survive(NULL, FAULT_PROXY_CUT_CLOSE); }

Test(redis_source, replies_cut_in_the_middle_and_in_pieces_lose_nothing)
{
    survive(&(struct fault_proxy_rules){.reset_at_bytes = 1500}, -1);
}

Test(redis_source, connection_that_is_half_open_loses_nothing)
{
    survive(NULL, FAULT_PROXY_CUT_HALF_OPEN);
}

Test(redis_source, network_that_holds_both_ways_loses_nothing)
{
    survive(&(struct fault_proxy_rules){.hold_requests = true, .hold_replies = true}, -1);
}

Test(redis_source, replies_that_come_a_byte_at_a_time_lose_nothing)
{
    survive(&(struct fault_proxy_rules){.piece_bytes = 1}, FAULT_PROXY_CUT_CLOSE);
}

/* Whatever the server kept of what it had: what is added behind the restart is handled. */
Test(redis_source, entries_behind_a_restart_of_the_server_come)
{
    const bool keeps = redis_case.server.options.append == REDIS_SERVER_APPEND_ALWAYS;
    redis_case_add("s", 0, 50);
    redis_case_open(0, "s?group=g&field=value&block=10ms&timeout=2s");
    redis_case_poll_until(0, 50);
    server_kill(&redis_case.server.process);
    redis_server_restart(&redis_case.server);
    redis_case_add("s", 50, 20);
    redis_case_poll_all(0, 70);
    cr_assert(!keeps || !redis_case_has_logged("ran backwards"));
    cr_assert(!keeps || !redis_case_has_logged("is made again"));
    if (redis_case.server.options.append == REDIS_SERVER_APPEND_NO)
        cr_assert(redis_case_has_logged("is made again"));
}

/* So many entries with values of so many bytes, which begin as those of redis_case_add. */
static void add_many(const char *stream, const char *count, const char *bytes)
{
    (void)ASK("EVAL",
              "for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '5-' .. i, 'value', "
              "'v' .. (i - 1) .. ' ' .. string.rep('x', ARGV[2])) end",
              "1", stream, count, bytes);
}

static unsigned long count_calls(const char *command)
{
    unsigned long calls = 0;
    const char *stats = strstr(ASK("INFO", "commandstats"), command);
    cr_assert(stats != NULL && sscanf(stats + strlen(command), ":calls=%lu", &calls) == 1);
    return calls;
}

/* What the engine has applied it remembers until the server has taken in the acknowledgement. */
Test(redis_source, what_is_not_acknowledged_is_bounded_by_the_memory)
{
    enum { COUNT = 20000, MOST = (1 << 20) / 2 / 128 + 1, PAGE = 500 };
    const struct strid_intake *intake = &redis_case.intakes[0];
    add_many("s", "20000", "1");
    redis_case.memory_bytes = 1 << 20;
    redis_case_open(0, "s?group=g&field=value&count=500");
    redis_case_poll_until(0, MOST);
    for (int i = 0; i < 100; i++)
        redis_case_poll(0);
    cr_assert_leq(intake->count, (size_t)(MOST + PAGE));
    for (size_t acked = 0; intake->count < COUNT;) {
        const size_t first = acked;
        acked = intake->count;
        redis_case_ack(0, first);
        redis_case_poll_until(0, acked + 1);
    }
    cr_assert_eq(intake->count, (size_t)COUNT, "once each");
}

/* They come by pages of 100. */
Test(redis_source, what_is_claimed_is_bounded_likewise)
{
    enum { MOST = (64 << 10) / 2 / 128 + 1, PAGE = 100 };
    add_many("s", "1000", "1");
    (void)ASK("XGROUP", "CREATE", "s", "g", "0");
    (void)ASK("XREADGROUP", "GROUP", "g", "dead", "COUNT", "1000", "STREAMS", "s", ">");
    redis_case.memory_bytes = 64 << 10;
    redis_case_open(0, "s?group=g&field=value&claim_idle=1s&block=10ms");
    redis_case_poll_until(0, MOST);
    for (int i = 0; i < 100; i++)
        redis_case_poll(0);
    cr_assert_leq(redis_case.intakes[0].count, (size_t)(MOST + PAGE));
}

/* What the engine has since an earlier run takes as much of the memory. */
Test(redis_source, what_an_earlier_run_has_left_is_bounded_with_it)
{
    enum { MOST = (1 << 20) / 2 / 128 + 1, LEFT = MOST - 1000, PAGE = 500 };
    const struct strid_intake *intake = &redis_case.intakes[0];
    const struct opened_source *source = &redis_case.sources[0];
    add_many("s", "20000", "1");
    redis_case.memory_bytes = 1 << 20;
    redis_case_open(0, "s?group=g&field=value&count=500");
    source->ops->recall(source->self, 0, LEFT);
    redis_case_poll_until(0, MOST - LEFT);
    for (int i = 0; i < 100; i++)
        redis_case_poll(0);
    cr_assert_leq(intake->count, (size_t)(MOST - LEFT + PAGE));
    source->ops->release(source->self, 0, LEFT);
    redis_case_poll_until(0, MOST);
    for (int i = 0; i < 100; i++)
        redis_case_poll(0);
    cr_assert_leq(intake->count, (size_t)(MOST + PAGE));
}

Test(redis_source, large_entries_are_asked_for_a_few_at_a_time)
{
    add_many("s", "300", "50000");
    redis_case.memory_bytes = 8 << 20;
    redis_case_open(0, "s?group=g&field=value&count=1000");
    redis_case_poll_until(0, 300);
    cr_assert_gt(count_calls("cmdstat_xreadgroup"), 8ul); /* 20 of them are a mebibyte */
}

/* D17: asked for seldom, and for much at a time. */
Test(redis_source, commands_are_few)
{
    redis_case_add("s", 0, 5000);
    (void)ASK("CONFIG", "RESETSTAT");
    redis_case_open(0, "s?group=g&field=value");
    redis_case_poll_until(0, 5000);
    for (size_t i = 0; i < redis_case.intakes[0].count; i += 1000) {
        strid_position positions[1000];
        for (size_t k = 0; k < 1000; k++)
            positions[k] = redis_case.intakes[0].records[i + k].position;
        redis_case.sources[0].ops->ack_many(redis_case.sources[0].self, 0, positions, 1000);
    }
    redis_case_confirm(0, 5000);
    const char *stats = ASK("INFO", "stats");
    const char *at = strstr(stats, "total_commands_processed:");
    unsigned long commands = 0;
    cr_assert(at != NULL && sscanf(at, "total_commands_processed:%lu", &commands) == 1);
    cr_assert_lt(commands, 30ul, "%lu for 5,000 entries", commands);
}

Test(redis_source, server_that_is_away_is_tried_as_often_as_told)
{
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){.refuse = true});
    STRID_CHECK_OK(redis_case_try_open(0, "s?group=g&attempts=3&attempt_delay=10ms"),
                   redis_case.err);
    cr_assert_eq(
        source_assign_at(&redis_case.sources[0], 0, NULL, strid_bytes_of(NULL, 0), &redis_case.err),
        STRID_EUNREACHABLE);
    cr_assert_geq(fault_proxy_counts(redis_case.proxy).accepted, 3u);
}

Test(redis_source, wrong_options_and_keys_are_refused)
{
    cr_assert_eq(redis_case_try_open(0, "s"), STRID_ECONFIG);
    cr_assert(strstr(redis_case.err.message, "group") != NULL, "%s", redis_case.err.message);
    source_close(&redis_case.sources[0]);
    cr_assert_eq(redis_case_try_open(0, "s?group=g&mode=exclusive"), STRID_ECONFIG);
    cr_assert(strstr(redis_case.err.message, "shared") != NULL, "%s", redis_case.err.message);
    source_close(&redis_case.sources[0]);
    cr_assert_eq(redis_case_try_open(0, "s?group=g&block=2s&timeout=1s"), STRID_ECONFIG);
    source_close(&redis_case.sources[0]);
    cr_assert_eq(redis_case_try_open(0, "s,,t?group=g"), STRID_ECONFIG);
    source_close(&redis_case.sources[0]);
    (void)ASK("SET", "text", "no stream");
    STRID_CHECK_OK(redis_case_try_open(0, "text?group=g"), redis_case.err);
    cr_assert_eq(
        source_assign_at(&redis_case.sources[0], 0, NULL, strid_bytes_of(NULL, 0), &redis_case.err),
        STRID_ECONFIG);
    cr_assert(strstr(redis_case.err.message, "text") != NULL, "%s", redis_case.err.message);
}

Test(redis_source, dead_letter_queue_is_beside_the_stream)
{
    char url[512];
    struct opened_sink sink = {0};
    redis_case_open(0, "a%2Fb?group=g");
    STRID_CHECK_OK(redis_case.sources[0].ops->dlq_url(redis_case.sources[0].self, url, sizeof url),
                   redis_case.err);
    STRID_CHECK_OK(sink_open_url(&sink, url, &redis_case.err), redis_case.err);
    strid_dead_letter letter = {.source = "s", .pipeline = "p", .node = "n"};
    strid_output output = {.value = strid_bytes_of_text("v"), .dead_letter = &letter};
    STRID_CHECK_OK(sink.ops->write(sink.self, &output, 1, &redis_case.err), redis_case.err);
    STRID_CHECK_OK(sink.ops->flush(sink.self, &redis_case.err), redis_case.err);
    sink_close(&sink);
    cr_assert_str_eq(ASK("XLEN", "a/b-dlq"), ":1\r\n");
    cr_assert_eq(redis_case.sources[0].ops->dlq_url(redis_case.sources[0].self, url, 8),
                 STRID_ELIMIT);
}
