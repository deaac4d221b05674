/* How often an entry is given out: counted at the server, and dead-lettered where it is too often.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "redis_case.h"

static const char fault[] = "delivered_too_often";

static void start(void)
{
    redis_case_start(&(struct redis_server_options){.append = REDIS_SERVER_APPEND_NO});
}

TestSuite(redis_delivery, .init = start, .fini = redis_case_stop);

/* Entries that `consumer` was given and has not acknowledged. */
static void give(const char *consumer, int count)
{
    redis_case_add("s", 0, count);
    (void)ASK("XGROUP", "CREATE", "s", "g", "0");
    (void)ASK("XREADGROUP", "GROUP", "g", consumer, "STREAMS", "s", ">");
}

/* As if it had been given to that many consumers, of which `consumer` is the last one. */
static void set_deliveries(const char *consumer, const char *id, const char *deliveries)
{
    (void)ASK("XCLAIM", "s", "g", consumer, "0", id, "RETRYCOUNT", deliveries, "JUSTID");
}

/* ":N\r\n", the largest number of deliveries of any entry. */
static const char *most_deliveries(void)
{
    return ASK("EVAL",
               "local most = 0 "
               "for _, entry in ipairs(redis.call('XPENDING', 's', 'g', '-', '+', '1000')) do "
               "  most = math.max(most, entry[4]) "
               "end "
               "return most",
               "0");
}

Test(redis_delivery, entry_that_was_given_out_too_often_is_dead_lettered)
{
    give("dead", 5);
    set_deliveries("dead", "5-2", "3");
    redis_case_open(1, "s?group=g&field=value&claim_idle=50ms&block=10ms&max_deliveries=3");
    redis_case_poll_until(1, 5);
    for (size_t i = 0; i < 5; i++) {
        const struct taken *raw = &redis_case.intakes[1].records[i];
        if (raw->position.low == 2)
            cr_assert_str_eq(raw->fault, fault);
        else
            cr_assert_null(raw->fault);
    }
    cr_assert_eq(redis_case_missing(1, 5), 5u); /* with its value */
    cr_assert(redis_case_has_logged("entry 5-2 was given to consumers 3 times"));
    cr_assert_eq(redis_case_count_logged("was given to consumers"), 1u);
    redis_case_ack(1, 0);
    redis_case_confirm(1, 5);
    cr_assert(strncmp(ASK("XPENDING", "s", "g"), "*4\r\n:0\r\n", 8) == 0);
}

Test(redis_delivery, any_number_is_handled_where_there_is_no_limit)
{
    give("dead", 3);
    set_deliveries("dead", "5-2", "999");
    redis_case_open(1, "s?group=g&field=value&claim_idle=50ms&block=10ms&max_deliveries=0");
    redis_case_poll_until(1, 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_null(redis_case.intakes[1].records[i].fault);
}

static bool polled_for_a_while(void *user)
{
    size_t *polls = user;
    redis_case_poll(1);
    return ++*polls > 100;
}

/* What was in hand with it is told from what ends processes. */
Test(redis_delivery, entries_that_two_consumers_have_left_are_claimed_one_by_one)
{
    give("dead", 4);
    for (int i = 1; i <= 4; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "5-%d", i);
        set_deliveries("dead", id, "2");
    }
    redis_case_open(1, "s?group=g&field=value&claim_idle=50ms&block=10ms&consumer=me");
    for (size_t i = 0; i < 4; i++) {
        size_t polls = 0;
        redis_case_poll_until(1, i + 1);
        cr_assert(support_wait(polled_for_a_while, &polls, REDIS_CASE_DEADLINE_MS));
        cr_assert_eq(redis_case.intakes[1].count, i + 1);
        redis_case_ack(1, i);
    }
    redis_case_confirm(1, 4);
    cr_assert_eq(redis_case_missing(1, 4), 4u);
}

Test(redis_delivery, own_pending_entries_are_judged_after_a_restart)
{
    give("me", 3);
    set_deliveries("me", "5-1", "5"); /* the last time that it is handled: this node's own */
    set_deliveries("me", "5-2", "6");
    redis_case_open(0, "s?group=g&field=value&consumer=me");
    redis_case_poll_until(0, 3);
    cr_assert_null(redis_case.intakes[0].records[0].fault);
    cr_assert_str_eq(redis_case.intakes[0].records[1].fault, fault);
    cr_assert_null(redis_case.intakes[0].records[2].fault);
}

static bool counts_are_as_before(void *user)
{
    redis_case_poll(0);
    return strcmp(most_deliveries(), user) == 0;
}

/* Each connection reads them again. */
Test(redis_delivery, reading_own_entries_again_does_not_count)
{
    char one[] = ":1\r\n";
    redis_case_add("s", 0, 300);
    redis_case_open(0, "s?group=g&field=value&count=70&block=10ms");
    redis_case_poll_until(0, 300);
    for (size_t i = 1; i <= 4; i++) {
        fault_proxy_cut_all(redis_case.proxy, FAULT_PROXY_CUT_RESET);
        redis_case_poll_until(0, 300 * (i + 1));
        cr_assert(support_wait(counts_are_as_before, one, REDIS_CASE_DEADLINE_MS), "%s",
                  most_deliveries());
    }
}

static bool are_set_back(void *user)
{
    (void)user;
    return strcmp(most_deliveries(), ":1\r\n") == 0;
}

/* A process that ends as it handles the first of them has told the server before: else the count of
 * all others would rise with each end. */
Test(redis_delivery, count_is_set_back_before_anything_is_handed_over)
{
    give("me", 600);
    redis_case_open(0, "s?group=g&field=value&consumer=me");
    redis_case_poll_until(0, 1);
    cr_assert_lt(redis_case.intakes[0].count, 600u); /* one poll takes no more */
    cr_assert(support_wait(are_set_back, NULL, REDIS_CASE_DEADLINE_MS), "%s", most_deliveries());
}

/* Setting a count back makes the server forget an entry that it no longer has: no count is set back
 * before the entry was asked for. */
Test(redis_delivery, deleted_entries_behind_the_first_page_are_told)
{
    give("me", 60);
    for (int i = 41; i <= 50; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "5-%d", i);
        (void)ASK("XDEL", "s", id);
    }
    redis_case.memory_bytes = 1 << 20; /* the first page has less than `count` entries */
    redis_case_open(0, "s?group=g&field=value&consumer=me&block=10ms");
    redis_case_poll_until(0, 50);
    redis_case_poll_logged(0, "(10 so far)");
    cr_assert_eq(redis_case_count_logged("it is lost"), 10u);
}

static bool is_forgotten(void *user)
{
    strid_error *err = &redis_case.err;
    struct opened_source *source = &redis_case.sources[0];
    (void)user;
    cr_assert_geq(source->ops->pump(source->self, 0, false, err), 0, "%s", err->message);
    return strcmp(ASK("XPENDING", "s", "g", "5-551", "5-560", "10"), "*0\r\n") == 0;
}

static void delete_ten(void)
{
    for (int i = 551; i <= 560; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "5-%d", i);
        (void)ASK("XDEL", "s", id);
    }
}

/* Keeping entries from looking idle makes the server forget those that it no longer has, also while
 * the engine takes nothing and they were not read here yet. */
static void hold_until_forgotten(void)
{
    give("me", 600);
    redis_case_open(0, "s?group=g&field=value&consumer=me&block=10ms&count=100&claim_idle=300ms");
    redis_case_poll_until(0, 1);
    cr_assert_lt(redis_case.intakes[0].count, 550u);
    delete_ten();
    cr_assert(support_wait(is_forgotten, NULL, REDIS_CASE_DEADLINE_MS));
}

Test(redis_delivery, deleted_entries_that_are_forgotten_before_they_were_read_are_told)
{
    hold_until_forgotten();
    redis_case_poll_logged(0, "entry 5-560 was deleted");
    cr_assert_eq(redis_case_count_logged("it is lost"), 10u);
    cr_assert(redis_case_has_logged("(10 so far)"));
    redis_case_poll_until(0, 590);
}

/* As where the server forgets them and a drain begins at once. */
Test(redis_delivery, deleted_entries_that_are_forgotten_are_told_before_the_end)
{
    hold_until_forgotten();
    redis_case_drain(0);
    cr_assert_eq(redis_case_count_logged("it is lost"), 10u);
}

static bool is_refreshed(void *user)
{
    (void)user;
    redis_case_poll(0);
    return strstr(ASK("INFO", "commandstats"), "cmdstat_xclaim") != NULL;
}

Test(redis_delivery, keeping_own_entries_from_looking_idle_does_not_count)
{
    redis_case_add("s", 0, 20);
    redis_case_open(0, "s?group=g&field=value&block=10ms&claim_idle=150ms");
    redis_case_poll_until(0, 20);
    (void)ASK("CONFIG", "RESETSTAT");
    cr_assert(support_wait(is_refreshed, NULL, REDIS_CASE_DEADLINE_MS));
    cr_assert_str_eq(most_deliveries(), ":1\r\n");
}

/* As where the answer was lost, or the node was killed before it had told. */
Test(redis_delivery, claim_of_an_earlier_run_is_counted)
{
    give("dead", 10);
    (void)ASK("XAUTOCLAIM", "s", "g", "me", "0", "0", "COUNT", "7");
    redis_case_open(0, "s?group=g&field=value&consumer=me&claim_idle=0");
    redis_case_poll_until(0, 7);
    cr_assert(redis_case_has_logged("claimed 7 entries"), "%.*s", (int)redis_case.logged.len,
              (const char *)redis_case.logged.data);
    redis_case_add("s", 10, 1);
    redis_case_poll_until(0, 8); /* what was pending has been read to its end */
    fault_proxy_cut_all(redis_case.proxy, FAULT_PROXY_CUT_RESET);
    redis_case_poll_until(0, 16);
    cr_assert_eq(redis_case_count_logged("claimed"), 1u);
}
