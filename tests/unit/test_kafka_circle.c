/* Suite kafka_circle: which queues a source would read its own dead letters from. */
#include <criterion/criterion.h>

#include <stdint.h>
#include <stdio.h>

#include "connectors/kafka/kafka_circle.h"

static bool closes(const char *wanted, const char *queue, const struct kafka_topics *topics)
{
    char source[128], target[128];
    (void)snprintf(source, sizeof source, "//b:1/%s", wanted);
    (void)snprintf(target, sizeof target, "//b:1/%s", queue);
    return kafka_circle_closes(source, target, topics);
}

Test(kafka_circle, a_queue_that_is_read_closes_it)
{
    static const struct {
        const char *wanted, *queue;
        bool closes;
    } cases[] = {
        {"orders", "orders", true},
        {"orders", "orders-dlq", false},
        {"orders,bad", "bad", true},
        {"^orders", "orders.bad", true},
        {"^orders", "orders-dlq", false}, /* the expression leaves it out */
        {"^orders,orders-dlq", "orders-dlq", true},
        {"^orders$", "orders.bad", false},
        {"^orders", "bad", false},
        {"paid,^orders", "orders.bad", true},
        {"orders", "{topic}", true},
        {"orders", "{topic}.bad", false},
        {"orders,orders.bad", "{topic}.bad", false}, /* then orders.bad.bad, which is not read */
        {"^orders", "{topic}.bad", true},
        {"^orders", "{topic}-dlq", false},
        {"^orders", "{topic}.bad-dlq", false},
        {"^orders", "bad.{topic}", false},
        {"^orders$", "{topic}.bad", false},
        {"^", "__bad", false}, /* no expression matches such a name */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(closes(cases[i].wanted, cases[i].queue, NULL), cases[i].closes, "%s to %s",
                     cases[i].wanted, cases[i].queue);
}

Test(kafka_circle, of_topics_that_are_there_more_is_known)
{
    struct kafka_topic orders = {.name = (char *)(uintptr_t) "orders"};
    const struct kafka_topics topics = {.items = &orders, .count = 1};
    cr_assert_not(closes("^.*s(.bad)*$", "{topic}.bad", NULL));
    cr_assert(closes("^.*s(.bad)*$", "{topic}.bad", &topics));
    cr_assert(closes("^.*orders", "bad.{topic}", &topics));
    cr_assert_not(closes("^.*orders$", "{topic}.bad", &topics));
    cr_assert_not(closes("^.*orders", "{topic}-dlq", &topics));
}

Test(kafka_circle, other_brokers_have_other_topics)
{
    cr_assert_not(kafka_circle_closes("//b:1/^orders", "//c:1/orders.bad", NULL));
    cr_assert_not(kafka_circle_closes("//b:1/^orders", "orders.bad", NULL));
}
