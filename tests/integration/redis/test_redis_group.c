/* A group or a stream that goes while nodes read it: each of them says so, whoever makes it again.
 */
#include <criterion/criterion.h>

#include <string.h>

#include "redis_case.h"

static const char by_another[] = "is made again by another node";
static const char by_this[] = "is made again, behind";

/* Whether the group has a mark that ends so. */
static bool has_mark(const char *end)
{
    return strstr(ASK("XINFO", "CONSUMERS", "s", "g"), end) != NULL;
}

static void start(void)
{
    redis_case_start(&(struct redis_server_options){.append = REDIS_SERVER_APPEND_ALWAYS});
}

/* A node that has read the first ten entries. */
static void read_ten(const char *rest)
{
    redis_case_add("s", 0, 10);
    redis_case_open(0, rest);
    redis_case_poll_until(0, 10);
}

TestSuite(redis_group, .init = start, .fini = redis_case_stop);

Test(redis_group, that_is_gone_is_made_again_behind_what_was_read)
{
    read_ten("s?group=g&field=value&block=10ms");
    cr_assert(has_mark(":mark"));
    cr_assert_not(has_mark(":mark:"));
    (void)ASK("XGROUP", "DESTROY", "s", "g");
    redis_case_add("s", 10, 5);
    intake_clear(&redis_case.intakes[0]);
    redis_case_poll_until(0, 5);
    cr_assert_eq(redis_case.intakes[0].count, 5u);
    cr_assert_eq(redis_case.intakes[0].records[0].position.low, 11u);
    cr_assert(redis_case_has_logged(by_this));
    cr_assert_not(redis_case_has_logged(by_another));
    cr_assert(has_mark(":mark:5-15")); /* what came up to there may be of the group that is gone */
}

Test(redis_group, of_a_flushed_stream_is_read_on)
{
    read_ten("s?group=g&field=value&block=10ms");
    (void)ASK("FLUSHALL");
    intake_clear(&redis_case.intakes[0]);
    redis_case_add("s", 0, 4); /* lower IDs than before: the stream was made anew */
    redis_case_poll_all(0, 4);
    cr_assert(redis_case_has_logged("ran backwards"));
}

/* As when the server has lost its last writes: the group stands where it was before. */
Test(redis_group, that_was_set_back_gives_entries_again_and_that_is_told_once)
{
    read_ten("s?group=g&field=value&block=10ms");
    redis_case_ack(0, 0);
    (void)ASK("XGROUP", "SETID", "s", "g", "5-4");
    redis_case_poll_until(0, 16);
    cr_assert_eq(redis_case_count_logged("entry 5-5 comes as a new one though later ones"), 1u);
    cr_assert_eq(redis_case_count_logged("comes as a new one"), 1u);
}

/* Its mark has its name. What was given under the old one may be of a group that is gone. */
Test(redis_group, that_a_node_reads_under_a_new_name_is_not_taken_for_another)
{
    const strid_position behind = {5, 11};
    read_ten("s?group=g&field=value&block=10ms&consumer=old");
    source_close(&redis_case.sources[0]);
    intake_clear(&redis_case.intakes[0]);
    STRID_CHECK_OK(redis_case_try_open(0, "s?group=g&field=value&block=10ms&consumer=new"),
                   redis_case.err);
    STRID_CHECK_OK(source_assign_at(&redis_case.sources[0], 0, &behind, strid_bytes_of_text("old"),
                                    &redis_case.err),
                   redis_case.err);
    redis_case_add("s", 10, 5);
    redis_case_poll_until(0, 5);
    cr_assert_not(redis_case_has_logged(by_another));
    cr_assert(has_mark("new:mark:5-10"));
    (void)ASK("XGROUP", "DESTROY", "s", "g");
    (void)ASK("XGROUP", "CREATE", "s", "g", "5-15");
    redis_case_add("s", 15, 5);
    redis_case_poll_until(0, 10);
    redis_case_drain(0);
    cr_assert(redis_case_has_logged(by_another)); /* a loss that comes later is told */
}

/* Two nodes have read and look elsewhere; a third, which knows nothing of the group, makes it. What
 * nobody had read is gone, IDs go on rising, and no read of the two ever fails. */
Test(redis_group, made_again_by_a_new_node_is_told_by_those_that_had_read)
{
    redis_case_add("s", 0, 20);
    redis_case_open(0, "s?group=g&field=value&count=5&block=10ms&claim_idle=200ms&consumer=a");
    redis_case_poll_until(0, 5);
    redis_case_open(1, "s?group=g&field=value&count=5&block=10ms&claim_idle=200ms&consumer=b");
    redis_case_poll_until(1, 5);
    redis_case_add("s", 20, 10);
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){.hold_requests = true});
    redis_case_poll(0);
    redis_case_poll(1);
    (void)ASK("FLUSHALL"); /* and with it entries that nobody had read */
    (void)ASK("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM");
    redis_case_add("s", 30, 10);
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){0});
    redis_case_poll_logged(0, by_another);
    cr_assert_not(redis_case_has_logged("(2 so far)"));
    buffer_clear(&redis_case.logged);
    redis_case_poll_logged(1, by_another);
    cr_assert_not(redis_case_has_logged(by_this));
}

/* The third is a node; the two are idle, with no read on the way, when it connects. */
Test(redis_group, made_again_while_no_read_is_on_the_way_is_told)
{
    read_ten("s?group=g&field=value&block=10ms&claim_idle=200ms&consumer=a");
    (void)ASK("DEL", "s");
    redis_case_open(2, "s?group=g&field=value&block=10ms&consumer=c");
    cr_assert_eq(redis_case.logged.len, 0u); /* nothing was known there */
    redis_case_add("s", 10, 10);
    redis_case_poll_logged(0, by_another);
    redis_case_drain(0);
    cr_assert(has_mark("a:mark:5-"));
    cr_assert(has_mark("c:mark"));
    cr_assert_not(has_mark("c:mark:"));
}

Test(redis_group, made_again_before_a_connection_comes_back_is_told)
{
    read_ten("s?group=g&field=value&block=10ms&claim_idle=0&timeout=500ms");
    fault_proxy_cut_all(redis_case.proxy, FAULT_PROXY_CUT_RESET);
    (void)ASK("XGROUP", "DESTROY", "s", "g");
    (void)ASK("XGROUP", "CREATE", "s", "g", "$");
    redis_case_poll_logged(0, by_another);
}

Test(redis_group, made_again_while_a_node_was_away_is_told_by_its_next_run)
{
    const strid_position resume = {5, 11};
    read_ten("s?group=g&field=value&consumer=a");
    source_close(&redis_case.sources[0]);
    (void)ASK("XGROUP", "DESTROY", "s", "g");
    (void)ASK("XGROUP", "CREATE", "s", "g", "$");
    STRID_CHECK_OK(redis_case_try_open(0, "s?group=g&field=value&consumer=a"), redis_case.err);
    redis_case_assign(0, &resume);
    cr_assert(redis_case_has_logged(by_another));
    cr_assert(has_mark("a:mark:5-10"));
    buffer_clear(&redis_case.logged);
    redis_case_assign(0, &resume);
    cr_assert_eq(redis_case.logged.len, 0u); /* once */
}

/* It was killed before it was durable how far it had read: only that it had run. */
static void come_back(const char *rest)
{
    source_close(&redis_case.sources[0]);
    STRID_CHECK_OK(redis_case_try_open(0, rest), redis_case.err);
    STRID_CHECK_OK(source_assign_at(&redis_case.sources[0], 0, NULL, strid_bytes_of_text("a"),
                                    &redis_case.err),
                   redis_case.err);
}

Test(redis_group, made_again_behind_a_first_run_is_told_by_the_second_one)
{
    static const char url[] = "s?group=g&field=value&block=10ms&consumer=a";
    read_ten(url);
    come_back(url);
    cr_assert_eq(redis_case.logged.len, 0u);
    cr_assert_not(has_mark("a:mark:"));
    (void)ASK("XGROUP", "DESTROY", "s", "g");
    (void)ASK("XGROUP", "CREATE", "s", "g", "$");
    come_back(url);
    cr_assert(redis_case_has_logged(by_another));
    cr_assert(has_mark("a:mark:5-10"));
}

Test(redis_group, that_is_gone_behind_a_first_run_is_made_again_from_the_start)
{
    static const char url[] = "s?group=g&field=value&block=10ms&consumer=a";
    read_ten(url);
    (void)ASK("XGROUP", "DESTROY", "s", "g");
    come_back(url);
    cr_assert(redis_case_has_logged("is made again, behind 0 "));
    cr_assert_not(redis_case_has_logged(by_another));
    cr_assert(has_mark("a:mark:5-10"));
    redis_case_poll_until(0, 20); /* rather again than never */
    cr_assert_not(redis_case_has_logged("comes as a new one"));
}

/* The timer would come later than the end. */
Test(redis_group, made_again_shortly_before_the_end_is_told)
{
    read_ten("s?group=g&field=value&block=10ms");
    redis_case_ack(0, 0);
    (void)ASK("DEL", "s");
    (void)ASK("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM");
    redis_case_drain(0);
    cr_assert(redis_case_has_logged(by_another));
    cr_assert_eq(redis_case.sources[0].ops->acked(redis_case.sources[0].self, 0), 10u);
}

Test(redis_group, end_does_not_wait_for_a_server_that_is_away)
{
    read_ten("s?group=g&field=value&block=10ms&timeout=300ms");
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){.refuse = true});
    fault_proxy_cut_all(redis_case.proxy, FAULT_PROXY_CUT_CLOSE);
    redis_case_drain(0);
}

static bool has_taken_a_look(void *user)
{
    (void)user;
    struct opened_source *source = &redis_case.sources[0];
    cr_assert_eq(source->ops->pump(source->self, 0, true, &redis_case.err), STRID_AGAIN);
    return strstr(ASK("CLIENT", "LIST"), "cmd=xinfo") != NULL;
}

Test(redis_group, end_does_not_wait_for_an_answer_that_is_lost)
{
    redis_case_open(0, "s?group=g&field=value&block=10ms&timeout=300ms");
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){.hold_replies = true});
    cr_assert(support_wait(has_taken_a_look, NULL, REDIS_CASE_DEADLINE_MS));
    fault_proxy_set(redis_case.proxy,
                    &(struct fault_proxy_rules){.refuse = true, .hold_replies = true});
    fault_proxy_cut_all(redis_case.proxy, FAULT_PROXY_CUT_RESET);
    redis_case_drain(0);
}

/* The connection ends between the answer that the group is there and the mark. */
Test(redis_group, found_by_a_node_that_could_not_leave_its_mark_is_not_taken_for_another)
{
    (void)ASK("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM");
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){.reset_at_bytes = 53});
    STRID_CHECK_OK(
        redis_case_try_open(0, "s?group=g&field=value&block=10ms&attempts=2&attempt_delay=1ms"),
        redis_case.err);
    cr_assert_eq(
        source_assign_at(&redis_case.sources[0], 0, NULL, strid_bytes_of(NULL, 0), &redis_case.err),
        STRID_EUNREACHABLE);
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){0});
    redis_case_assign(0, NULL);
    redis_case_add("s", 0, 10);
    redis_case_poll_until(0, 10);
    cr_assert_not(redis_case_has_logged("is made again"));
}

/* Restarts of the server, cut connections, trims and deletions are no reason. */
Test(redis_group, that_is_the_same_is_not_taken_for_another)
{
    redis_case_add("s", 0, 100);
    redis_case_open(0, "s?group=g&field=value&block=10ms&claim_idle=100ms&timeout=2s");
    redis_case_poll_until(0, 100);
    redis_case_ack(0, 0);
    (void)ASK("XTRIM", "s", "MAXLEN", "50");
    (void)ASK("XDEL", "s", "5-100");
    fault_proxy_cut_all(redis_case.proxy, FAULT_PROXY_CUT_RESET);
    redis_case_add("s", 100, 10);
    redis_case_poll_until(0, 110);
    server_kill(&redis_case.server.process);
    redis_server_restart(&redis_case.server);
    redis_case_add("s", 110, 10);
    redis_case_poll_all(0, 120);
    redis_case_drain(0);
    cr_assert_not(redis_case_has_logged("is made again"));
}
