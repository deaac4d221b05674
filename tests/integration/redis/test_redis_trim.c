/* The trimmer: what all groups have done goes, and nothing else. Streams keep their entries in
 * nodes of a hundred, of which only whole ones go. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "redis_case.h"

enum { LOOKS = 3 };

static void start(void)
{
    redis_case_start(&(struct redis_server_options){.append = REDIS_SERVER_APPEND_NO});
}

TestSuite(redis_trim, .init = start, .fini = redis_case_stop);

static unsigned length(void)
{
    unsigned entries = 0;
    cr_assert_eq(sscanf(ASK("XLEN", "s"), ":%u", &entries), 1);
    return entries;
}

/* How often the source has looked what can go. */
static unsigned looks(void)
{
    unsigned calls = 0;
    const char *at = strstr(ASK("INFO", "commandstats"), "cmdstat_eval:calls=");
    if (at != NULL)
        cr_assert_eq(sscanf(at, "cmdstat_eval:calls=%u", &calls), 1);
    return calls;
}

static bool has_length(void *user)
{
    redis_case_poll(0);
    return length() == *(const unsigned *)user;
}

static void expect_length(unsigned entries)
{
    cr_assert(support_wait(has_length, &entries, REDIS_CASE_DEADLINE_MS), "%u, not %u", length(),
              entries);
}

static bool has_looked(void *user)
{
    redis_case_poll(0);
    return looks() >= *(const unsigned *)user;
}

/* After it has looked some times more. */
static void expect_length_to_stay(unsigned entries)
{
    unsigned enough = looks() + LOOKS;
    cr_assert(support_wait(has_looked, &enough, REDIS_CASE_DEADLINE_MS));
    cr_assert_eq(length(), entries);
}

#define SOURCE "s?group=a&field=value&count=2000&block=5ms&trim=10ms"

static void read_and_ack(const char *source, size_t count)
{
    redis_case_open(0, source);
    redis_case_poll_until(0, count);
    redis_case_ack(0, 0);
}

Test(redis_trim, takes_out_what_the_only_group_has_done)
{
    redis_case_add("s", 0, 950);
    read_and_ack(SOURCE, 950);
    expect_length(50);
}

Test(redis_trim, is_off_unless_it_is_asked_for)
{
    redis_case_add("s", 0, 300);
    read_and_ack("s?group=a&field=value&block=5ms", 300);
    for (int i = 0; i < 20; i++)
        redis_case_poll(0);
    cr_assert_eq(looks(), 0u);
    cr_assert_eq(length(), 300u);
}

Test(redis_trim, leaves_own_entries_that_are_pending)
{
    redis_case_add("s", 0, 500);
    redis_case_open(0, SOURCE);
    redis_case_poll_until(0, 500);
    expect_length_to_stay(500);
    redis_case_ack(0, 250); /* the later half */
    expect_length_to_stay(500);
    for (size_t i = 0; i < 250; i++)
        redis_case.sources[0].ops->ack_many(redis_case.sources[0].self, 0,
                                            &redis_case.intakes[0].records[i].position, 1);
    expect_length(100);
}

Test(redis_trim, leaves_what_another_group_has_not_read_or_not_done)
{
    char id[16];
    redis_case_add("s", 0, 950);
    (void)ASK("XGROUP", "CREATE", "s", "b", "0");
    read_and_ack(SOURCE, 950);
    expect_length_to_stay(950);
    (void)ASK("XREADGROUP", "GROUP", "b", "c", "COUNT", "600", "STREAMS", "s", ">");
    expect_length_to_stay(950);
    for (int i = 1; i <= 220; i++) {
        (void)snprintf(id, sizeof id, "5-%d", i);
        (void)ASK("XACK", "s", "b", id);
    }
    expect_length(750);
    for (int i = 222; i <= 600; i++) { /* all but one */
        (void)snprintf(id, sizeof id, "5-%d", i);
        (void)ASK("XACK", "s", "b", id);
    }
    expect_length_to_stay(750);
    (void)ASK("XACK", "s", "b", "5-221");
    expect_length(450); /* the node of 5-600 stays */
}

Test(redis_trim, heeds_a_group_that_comes_later_and_forgets_one_that_goes)
{
    redis_case_add("s", 0, 100);
    read_and_ack(SOURCE, 100);
    (void)ASK("XGROUP", "CREATE", "s", "late", "5-100");
    redis_case_add("s", 100, 850);
    redis_case_poll_until(0, 950);
    redis_case_ack(0, 100);
    expect_length_to_stay(950);
    (void)ASK("XGROUP", "SETID", "s", "late", "5-350");
    expect_length(650);
    (void)ASK("XGROUP", "DESTROY", "s", "late");
    expect_length(50);
}

/* D2: as texts "10-150" came before "9-150". */
Test(redis_trim, compares_ids_as_numbers)
{
    char id[48];
    for (int i = 1; i <= 200; i++) {
        (void)snprintf(id, sizeof id, "9-%d", i);
        (void)ASK("XADD", "s", id, "value", "v0");
    }
    for (int i = 1; i <= 200; i++) {
        (void)snprintf(id, sizeof id, "10-%d", i);
        (void)ASK("XADD", "s", id, "value", "v0");
    }
    (void)ASK("XGROUP", "CREATE", "s", "b", "9-150");
    read_and_ack(SOURCE, 400);
    expect_length(300);
    expect_length_to_stay(300);
    (void)ASK("XGROUP", "SETID", "s", "b", "10-99");
    expect_length(200);
    expect_length_to_stay(200);
    /* beyond what a double holds: one more than the group's */
    for (int i = 1; i <= 200; i++) {
        (void)snprintf(id, sizeof id, "9007199254740993-%d", i);
        (void)ASK("XADD", "s", id, "value", "v0");
    }
    (void)ASK("XGROUP", "SETID", "s", "b", "9007199254740992-900");
    redis_case_poll_until(0, 600);
    redis_case_ack(0, 400);
    expect_length(200);
    expect_length_to_stay(200);
}

Test(redis_trim, waits_for_groups_that_have_to_be_there)
{
    redis_case_add("s", 0, 950);
    read_and_ack(SOURCE "&trim_groups=a,,other", 950);
    expect_length_to_stay(950);
    redis_case_poll_logged(0, "it has no group other");
    (void)ASK("XGROUP", "CREATE", "s", "other", "$");
    expect_length(50);
}

Test(redis_trim, survives_a_stream_that_is_gone)
{
    redis_case_add("s", 0, 950);
    read_and_ack(SOURCE, 950);
    expect_length(50);
    (void)ASK("FLUSHALL");
    redis_case_add("s", 950, 950);
    redis_case_poll_until(0, 1900);
    redis_case_ack(0, 950);
    expect_length(50);
}

static bool has_failed(void *user)
{
    struct opened_source *source = &redis_case.sources[0];
    strid_status *status = user;
    *status = source->ops->poll(source->self, 0, &redis_case.intakes[0], 512, &redis_case.err);
    return *status < 0;
}

Test(redis_trim, needs_the_rights_of_the_page_and_says_what_is_missing)
{
    strid_status status = STRID_OK;
    redis_case_add("s", 0, 950);
    (void)ASK("ACL", "SETUSER", "strid", "on", ">p", "~s", "+xreadgroup", "+xack", "+xautoclaim",
              "+xpending", "+xclaim", "+xgroup|create", "+xgroup|createconsumer", "+xinfo|stream",
              "+xinfo|consumers", "+client|setname", "+eval", "+xinfo|groups", "+xtrim");
    read_and_ack(SOURCE "&user=strid&password=p", 950);
    expect_length(50);
    (void)ASK("ACL", "SETUSER", "strid", "-xtrim");
    cr_assert(support_wait(has_failed, &status, REDIS_CASE_DEADLINE_MS));
    cr_assert(strstr(redis_case.err.message, "trimming") != NULL, "%s", redis_case.err.message);
    cr_assert(strcasestr(redis_case.err.message, "permission") != NULL ||
                  strstr(redis_case.err.message, "can't run") != NULL,
              "%s", redis_case.err.message);
}
