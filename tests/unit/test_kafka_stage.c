#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/kafka_stage.h"

static struct kafka_stage *stage;

static void make(void) { stage = calloc(1, sizeof *stage); }

static void drop(void)
{
    kafka_stage_fini(stage);
    free(stage);
}

TestSuite(kafka_stage, .init = make, .fini = drop);

/* An error, since librdkafka looks into its own part of any other message. */
static rd_kafka_message_t message_of(char *key, char *value, int64_t offset)
{
    return (rd_kafka_message_t){.err = RD_KAFKA_RESP_ERR__BAD_MSG,
                                .key = key,
                                .key_len = key == NULL ? 0 : strlen(key),
                                .payload = value,
                                .len = value == NULL ? 0 : strlen(value),
                                .offset = offset,
                                .partition = 2};
}

Test(kafka_stage, a_copy_stays_when_the_message_goes)
{
    char key[] = "key", value[] = "broken batch";
    rd_kafka_message_t raw = message_of(key, value, 7);
    kafka_stage_copy(stage, &raw);
    memset(key, '-', 3);
    memset(value, '-', sizeof value);
    raw.offset = 8;
    const struct kafka_message *first = kafka_stage_first(stage);
    cr_assert_arr_eq(first->raw.key, "key", 3);
    cr_assert_str_eq(rd_kafka_message_errstr(&first->raw), "broken batch");
    cr_assert_eq(first->raw.key_len, 3);
    cr_assert_eq(first->raw.len, sizeof value - 1);
    cr_assert_eq(first->raw.offset, 7);
    cr_assert_eq(first->raw.partition, 2);
    cr_assert_eq(first->timestamp_ms, -1);
}

Test(kafka_stage, absent_is_not_empty)
{
    char empty[] = "";
    rd_kafka_message_t raw = message_of(NULL, empty, 0);
    kafka_stage_copy(stage, &raw);
    raw = message_of(empty, NULL, 1);
    kafka_stage_copy(stage, &raw);
    cr_assert_null(kafka_stage_first(stage)->raw.key);
    cr_assert_not_null(kafka_stage_first(stage)->raw.payload);
    kafka_stage_pass(stage);
    cr_assert_not_null(kafka_stage_first(stage)->raw.key);
    cr_assert_null(kafka_stage_first(stage)->raw.payload);
}

Test(kafka_stage, they_come_in_order_and_the_first_stays_until_it_is_passed)
{
    char value[] = "v";
    for (uint32_t round = 0; round < 3; round++) {
        cr_assert_null(kafka_stage_first(stage));
        for (int64_t i = 0; !kafka_stage_is_full(stage); i++) {
            rd_kafka_message_t raw = message_of(NULL, value, i);
            kafka_stage_copy(stage, &raw);
        }
        for (int64_t i = 0; i < KAFKA_STAGE_MESSAGES; i++) {
            cr_assert_eq(kafka_stage_first(stage)->raw.offset, i);
            cr_assert_eq(kafka_stage_first(stage)->raw.offset, i);
            kafka_stage_pass(stage);
        }
    }
}

Test(kafka_stage, a_large_one_has_its_own_room_and_fills_no_other)
{
    static char large[2 * KAFKA_STAGE_BYTES];
    char small[] = "small";
    memset(large, 'l', sizeof large - 1);
    rd_kafka_message_t raw = message_of(small, large, 0);
    kafka_stage_copy(stage, &raw);
    cr_assert(!kafka_stage_is_full(stage));
    raw = message_of(NULL, small, 1);
    kafka_stage_copy(stage, &raw);
    cr_assert_eq(memcmp(kafka_stage_first(stage)->raw.payload, large, sizeof large - 1), 0);
    cr_assert_arr_eq(kafka_stage_first(stage)->raw.key, "small", 5);
    kafka_stage_pass(stage);
    cr_assert_arr_eq(kafka_stage_first(stage)->raw.payload, "small", 5);
}

Test(kafka_stage, its_bytes_fill_it_too)
{
    static char value[KAFKA_STAGE_BYTES / 8];
    uint32_t count = 0;
    memset(value, 'v', sizeof value - 1);
    for (; !kafka_stage_is_full(stage); count++) {
        rd_kafka_message_t raw = message_of(NULL, value, count);
        kafka_stage_copy(stage, &raw);
    }
    cr_assert(count > 4 && count < 8);
}

Test(kafka_stage, those_of_a_partition_that_stopped_are_of_none)
{
    char value[] = "v";
    for (int32_t i = 0; i < 4; i++) {
        rd_kafka_message_t raw = message_of(NULL, value, i);
        raw.partition = i % 2;
        raw.rkt = (rd_kafka_topic_t *)&value; /* only compared */
        kafka_stage_copy(stage, &raw);
    }
    kafka_stage_forget(stage, (rd_kafka_topic_t *)&value, 1);
    for (int32_t i = 0; i < 4; i++, kafka_stage_pass(stage))
        cr_assert_eq(kafka_stage_first(stage)->raw.rkt == NULL, i % 2 == 1);
}
