/* When a source asks for entries, for how long the server may hold that, and what does not wait
 * behind it. */
#include <criterion/criterion.h>

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#include "redis_case.h"

/* The server holds a read for 9 s; whatever waits behind it would take that long. */
#define LONG "block=9s&timeout=10s&claim_idle=0"
static const int64_t soon_ns = INT64_C(5000000000);

static void start(void)
{
    redis_case_start(&(struct redis_server_options){.append = REDIS_SERVER_APPEND_NO});
}

TestSuite(redis_flow, .init = start, .fini = redis_case_stop);

static void poll_some(int times)
{
    for (int i = 0; i < times; i++)
        redis_case_poll(0);
}

static unsigned long count_calls(const char *command)
{
    unsigned long calls = 0;
    char name[64];
    (void)snprintf(name, sizeof name, "cmdstat_%s:calls=", command);
    const char *stats = strstr(ASK("INFO", "commandstats"), name);
    return stats != NULL && sscanf(stats + strlen(name), "%lu", &calls) == 1 ? calls : 0;
}

static unsigned long count_pending(const char *stream)
{
    unsigned long count = 0;
    cr_assert_eq(sscanf(ASK("XPENDING", stream, "g"), "*4\r\n:%lu", &count), 1);
    return count;
}

static bool is_acknowledged(void *user)
{
    (void)user;
    redis_case_poll(0);
    return count_pending("s") == 0;
}

struct calls {
    const char *command;
    unsigned long more_than;
};

static bool are_more(void *user)
{
    const struct calls *calls = user;
    redis_case_poll(0);
    return count_calls(calls->command) > calls->more_than;
}

Test(redis_flow, acknowledgement_does_not_wait_behind_a_read)
{
    redis_case_add("s", 0, 10);
    redis_case_open(0, "s?group=g&field=value&" LONG);
    redis_case_poll_until(0, 10);
    struct calls reads = {"xreadgroup", count_calls("xreadgroup")};
    cr_assert(support_wait(are_more, &reads, REDIS_CASE_DEADLINE_MS));
    const int64_t begin_ns = clock_monotonic_ns(&clock_system);
    redis_case_ack(0, 0);
    cr_assert(support_wait(is_acknowledged, NULL, REDIS_CASE_DEADLINE_MS));
    cr_assert_lt(clock_monotonic_ns(&clock_system) - begin_ns, soon_ns);
}

Test(redis_flow, end_does_not_wait_behind_a_read)
{
    redis_case_open(0, "s?group=g&field=value&" LONG);
    poll_some(20);
    const int64_t begin_ns = clock_monotonic_ns(&clock_system);
    redis_case_drain(0);
    cr_assert_lt(clock_monotonic_ns(&clock_system) - begin_ns, soon_ns);
}

/* Where nothing is to be done the server waits, not the node: one read for each `block`. */
Test(redis_flow, idle_stream_is_asked_for_seldom)
{
    redis_case_open(0, "s?group=g&field=value&" LONG);
    poll_some(20);
    const unsigned long before = count_calls("xreadgroup");
    poll_some(200);
    cr_assert_leq(count_calls("xreadgroup"), before + 1);
}

static bool are_four_under_way(void *user)
{
    (void)user;
    redis_case_poll(0);
    return count_pending("s") == redis_case.intakes[0].count + 400;
}

/* What is given to the engine may be acknowledged soon, or waits there for hours. */
Test(redis_flow, stream_with_a_waiting_entry_is_asked_for_ever_less_often)
{
    enum { WATCHED_MS = 1500, ASKED_MAX = 12 }; /* each 20 ms it would be 75 times */
    redis_case_add("s", 0, 1);
    redis_case_open(0, "s?group=g&field=value&" LONG);
    redis_case_poll_until(0, 1);
    const unsigned long before = count_calls("xreadgroup");
    const int64_t end_ns = clock_monotonic_ns(&clock_system) + INT64_C(1000000) * WATCHED_MS;
    while (clock_monotonic_ns(&clock_system) < end_ns)
        redis_case_poll(0);
    const unsigned long asked = count_calls("xreadgroup") - before;
    cr_assert(asked >= 1 && asked <= ASKED_MAX, "%lu", asked);
    redis_case_ack(0, 0); /* which does not wait for the 9 s of the configuration */
    const int64_t begin_ns = clock_monotonic_ns(&clock_system);
    cr_assert(support_wait(is_acknowledged, NULL, REDIS_CASE_DEADLINE_MS));
    cr_assert_lt(clock_monotonic_ns(&clock_system) - begin_ns, soon_ns);
}

/* The server has given them out, and their replies are held on the way. */
Test(redis_flow, reads_are_under_way_four_at_a_time)
{
    redis_case_add("s", 0, 3000);
    redis_case_open(0, "s?group=g&field=value&count=100&timeout=20s");
    redis_case_poll_until(0, 200);
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){.hold_replies = true});
    cr_assert(support_wait(are_four_under_way, NULL, REDIS_CASE_DEADLINE_MS));
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){.hold_replies = false});
    redis_case_poll_until(0, 3000);
}

/* Between the look for idle entries and the claim another consumer took this one. */
Test(redis_flow, claim_takes_only_what_is_idle_even_then)
{
    (void)ASK("XADD", "s", "5-1", "value", "v0");
    (void)ASK("XGROUP", "CREATE", "s", "g", "0");
    (void)ASK("XREADGROUP", "GROUP", "g", "dead", "STREAMS", "s", ">");
    redis_case_open(0, "s?group=g&field=value&claim_idle=4s&block=10ms&timeout=20s");
    struct calls looks = {"xpending", count_calls("xpending") + 1}; /* behind the own entries */
    cr_assert(support_wait(are_more, &looks, REDIS_CASE_DEADLINE_MS));
    poll_some(5);
    (void)ASK("XCLAIM", "s", "g", "dead", "0", "5-1", "IDLE", "100000");
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){.hold_replies = true});
    looks.more_than = count_calls("xpending");
    cr_assert(support_wait(are_more, &looks, REDIS_CASE_DEADLINE_MS));
    (void)ASK("XCLAIM", "s", "g", "other", "0", "5-1");
    const unsigned long claims = count_calls("xautoclaim");
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){.hold_replies = false});
    struct calls claimed = {"xautoclaim", claims};
    cr_assert(support_wait(are_more, &claimed, REDIS_CASE_DEADLINE_MS));
    cr_assert(strstr(ASK("XPENDING", "s", "g", "-", "+", "10"), "other") != NULL);
    cr_assert_eq(redis_case.intakes[0].count, 0u);
}

static bool is_refreshed_by_pumping(void *user)
{
    const struct calls *calls = user;
    struct opened_source *source = &redis_case.sources[0];
    cr_assert_geq(source->ops->pump(source->self, 0, false, &redis_case.err), 0, "%s",
                  redis_case.err.message);
    return count_calls(calls->command) > calls->more_than;
}

/* The engine takes nothing more for long: what was read for it is in the way of all answers. */
Test(redis_flow, own_entries_do_not_look_idle_while_nothing_is_taken)
{
    struct opened_source *source = &redis_case.sources[0];
    redis_case_add("s", 0, 100);
    redis_case_open(0, "s?group=g&field=value&consumer=me&claim_idle=1s&block=10ms");
    while (redis_case.intakes[0].count < 10)
        cr_assert_geq(
            source->ops->poll(source->self, 0, &redis_case.intakes[0], 10, &redis_case.err), 0);
    struct calls refreshed = {"xclaim", count_calls("xclaim") + 3};
    cr_assert(support_wait(is_refreshed_by_pumping, &refreshed, REDIS_CASE_DEADLINE_MS));
    redis_case_poll_all(0, 100); /* what was in the way comes again */
    redis_case_ack(0, 0);
    redis_case_confirm(0, redis_case.intakes[0].count);
    cr_assert_eq(count_pending("s"), 0u);
}

/* Between the look for own entries that were idle for long and the claim that refreshes them. */
Test(redis_flow, refreshing_takes_nothing_back_from_another)
{
    redis_case_add("s", 0, 1);
    redis_case_open(0, "s?group=g&field=value&consumer=me&claim_idle=4s&block=10ms&timeout=20s");
    redis_case_poll_until(0, 1);
    poll_some(50);
    (void)ASK("XCLAIM", "s", "g", "me", "0", "5-1", "IDLE", "2000"); /* a third of it is enough */
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){.hold_replies = true});
    struct calls looks = {"xpending", count_calls("xpending") + 1}; /* for others' entries, too */
    cr_assert(support_wait(are_more, &looks, REDIS_CASE_DEADLINE_MS));
    (void)ASK("XCLAIM", "s", "g", "other", "0", "5-1");
    struct calls refreshed = {"xclaim", count_calls("xclaim")};
    fault_proxy_set(redis_case.proxy, &(struct fault_proxy_rules){.hold_replies = false});
    cr_assert(support_wait(are_more, &refreshed, REDIS_CASE_DEADLINE_MS));
    cr_assert(strstr(ASK("XPENDING", "s", "g", "-", "+", "10"), "other") != NULL);
    cr_assert_eq(redis_case.intakes[0].count, 1u);
}
