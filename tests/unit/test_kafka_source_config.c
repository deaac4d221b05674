/* Suite kafka_source_config: what options and memory come to, without a broker. */
#include <criterion/criterion.h>

#include "connectors/kafka/kafka_source_config.h"
#include "connectors/kafka/kafka_topics.h"

#define MIB (UINT64_C(1) << 20)

static strid_status start_of(const char *text, const char *group, struct kafka_start *out,
                             strid_error *err)
{
    const struct kafka_source_options options = {.start = text, .group = group};
    return kafka_source_config_start(&options, out, err);
}

Test(kafka_source_config, start_is_a_word_or_a_time)
{
    struct kafka_start start;
    strid_error err = STRID_ERROR_INIT;
    cr_assert_eq(start_of(NULL, NULL, &start, &err), STRID_OK);
    cr_assert_eq(start.kind, KAFKA_START_UNSAID);
    cr_assert_eq(start_of("earliest", NULL, &start, &err), STRID_OK);
    cr_assert_eq(start.kind, KAFKA_START_EARLIEST);
    cr_assert_eq(start_of("latest", NULL, &start, &err), STRID_OK);
    cr_assert_eq(start.kind, KAFKA_START_LATEST);
    cr_assert_eq(start_of("group", "g", &start, &err), STRID_OK);
    cr_assert_eq(start.kind, KAFKA_START_GROUP);
    cr_assert_eq(start_of("timestamp:1700000000000", NULL, &start, &err), STRID_OK);
    cr_assert_eq(start.kind, KAFKA_START_TIMESTAMP);
    cr_assert_eq(start.timestamp_ms, 1700000000000);
    static const char *const wrong[] = {"",
                                        "Latest",
                                        "timestamp",
                                        "timestamp:",
                                        "timestamp:-1",
                                        "timestamp:1s",
                                        "timestamp:99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(start_of(wrong[i], "g", &start, &err), STRID_ECONFIG, "%s", wrong[i]);
    cr_assert_eq(start_of("group", NULL, &start, &err), STRID_ECONFIG);
    cr_assert_not_null(strstr(err.message, "?group=NAME"), "%s", err.message);
}

Test(kafka_source_config, a_group_has_a_name_and_no_end)
{
    strid_error err = STRID_ERROR_INIT;
    struct kafka_source_options options = {.assign = KAFKA_ASSIGN_GROUP, .follow = true};
    cr_assert_eq(kafka_source_config_check(&options, &err), STRID_ECONFIG);
    cr_assert_not_null(strstr(err.message, "?group=NAME"), "%s", err.message);
    options.group = "g";
    cr_assert_eq(kafka_source_config_check(&options, &err), STRID_OK);
    options.follow = false;
    cr_assert_eq(kafka_source_config_check(&options, &err), STRID_ECONFIG);
    cr_assert_not_null(strstr(err.message, "\"follow\": false"), "%s", err.message);
    options.assign = KAFKA_ASSIGN_STATIC;
    cr_assert_eq(kafka_source_config_check(&options, &err), STRID_OK);
}

Test(kafka_source_config, memory_bounds_all_queues_together)
{
    for (uint64_t memory = 8 * MIB; memory <= 256 * MIB; memory *= 2)
        for (uint32_t queues = 1; queues <= 5; queues++) {
            struct kafka_prefetch all = kafka_source_config_divide(memory, queues);
            cr_assert_leq(all.bytes * queues, memory / 4);
            cr_assert_leq(all.messages * queues * 500, memory / 4 + queues * 1000 * 500);
            cr_assert_geq(all.fetch_bytes, MIB);
            cr_assert_leq(all.fetch_bytes, 8 * MIB);
        }
}

Test(kafka_source_config, dead_letters_are_reached_as_the_source_is)
{
    char url[256];
    strid_property wait = {.name = (char *)"fetch.wait.max.ms", .value = (char *)"7"};
    strid_property word = {
        .next = &wait, .name = (char *)"sasl.password", .value = (char *)"a b&c=%"};
    strid_property protocol = {
        .next = &word, .name = (char *)"security.protocol", .value = (char *)"sasl_ssl"};
    const struct kafka_source_options options = {.properties = &protocol};
    cr_assert_eq(kafka_source_config_dlq("h:1,i:2", "^a,b", &options, url, sizeof url), STRID_OK);
    cr_assert_str_eq(url,
                     "kafka://h:1,i:2/{topic}-dlq?topics=%5Ea%2Cb&kafka.message.max.bytes=100000000"
                     "&kafka.security.protocol=sasl_ssl"
                     "&kafka.sasl.password=a%20b%26c%3D%25");
    size_t size = strlen(url) + 1;
    cr_assert_eq(kafka_source_config_dlq("h:1,i:2", "^a,b", &options, url, size), STRID_OK);
    cr_assert_eq(kafka_source_config_dlq("h:1,i:2", "^a,b", &options, url, size - 1), STRID_ELIMIT);
}

Test(kafka_topics, grown_is_a_new_topic_or_more_partitions)
{
    struct kafka_topic before[] = {{.name = (char *)"a", .partitions = 2},
                                   {.name = (char *)"b", .partitions = 1}};
    struct kafka_topic now[] = {{.name = (char *)"b", .partitions = 1},
                                {.name = (char *)"a", .partitions = 2},
                                {.name = (char *)"c", .partitions = 1}};
    struct kafka_topics known = {.items = before, .count = 2}, found = {.items = now, .count = 2};
    cr_assert_not(kafka_topics_grown(&known, &found));
    found.count = 1;
    cr_assert_not(kafka_topics_grown(&known, &found), "one that went is no reason to read anew");
    found.count = 3;
    cr_assert(kafka_topics_grown(&known, &found));
    found.count = 2;
    now[1].partitions = 3;
    cr_assert(kafka_topics_grown(&known, &found));
}
