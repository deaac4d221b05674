#include "kafka_ask.h"

#include "base/error.h"

#include <inttypes.h>
#include <string.h>

#define COMPONENT "kafka"

enum { ANSWER_MS = 15000 };

static const char *const unknown[] = {
    [KAFKA_ASK_FIRST] = "its first offset is not known",
    [KAFKA_ASK_END] = "its last offset is not known",
    [KAFKA_ASK_TIME] = "the offset of a time is not known",
    [KAFKA_ASK_COMMITTED] = "where its group stands is not known",
};

/* ListOffsets takes the names of both ends for times, too. */
static int64_t offset_of(enum kafka_question question, int64_t timestamp_ms)
{
    switch (question) {
    case KAFKA_ASK_FIRST:
        return RD_KAFKA_OFFSET_BEGINNING;
    case KAFKA_ASK_END:
        return RD_KAFKA_OFFSET_END;
    case KAFKA_ASK_TIME:
        return timestamp_ms;
    case KAFKA_ASK_COMMITTED:
        break;
    }
    return RD_KAFKA_OFFSET_INVALID;
}

static rd_kafka_topic_partition_list_t *list_of(struct kafka_partition *const *partitions,
                                                uint32_t count, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (uint32_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, partitions[i]->topic->name, partitions[i]->number)
            ->offset = offset;
    return list;
}

/* Answers may stand in another order than what was asked. The first error, and whose it is. */
static rd_kafka_resp_err_t take_answers(rd_kafka_topic_partition_list_t *list,
                                        struct kafka_partition *const *partitions, uint32_t count,
                                        int64_t *out, uint32_t *wrong)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct kafka_partition *partition = partitions[i];
        const rd_kafka_topic_partition_t *found = &list->elems[i];
        if (found->partition != partition->number ||
            strcmp(found->topic, partition->topic->name) != 0)
            found =
                rd_kafka_topic_partition_list_find(list, partition->topic->name, partition->number);
        *wrong = i;
        if (found == NULL)
            return RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
        if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return found->err;
        out[i] = found->offset < 0 ? -1 : found->offset;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* What was in the metadata a moment ago is there: of a topic that was just made librdkafka, too,
 * does not know all for a while. */
static rd_kafka_resp_err_t as_told_by_brokers(rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
        return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    return code;
}

strid_status kafka_ask(rd_kafka_t *client, const char *brokers,
                       struct kafka_partition *const *partitions, uint32_t count,
                       enum kafka_question question, int64_t timestamp_ms, int64_t *out,
                       strid_error *err)
{
    rd_kafka_resp_err_t code;
    uint32_t wrong = 0;
    int tries = 0;
    if (count == 0)
        return STRID_OK;
    do {
        rd_kafka_topic_partition_list_t *list =
            list_of(partitions, count, offset_of(question, timestamp_ms));
        wrong = 0;
        code = question == KAFKA_ASK_COMMITTED
                   ? rd_kafka_committed(client, list, ANSWER_MS)
                   : rd_kafka_offsets_for_times(client, list, ANSWER_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            code = take_answers(list, partitions, count, out, &wrong);
        rd_kafka_topic_partition_list_destroy(list);
    } while (kafka_client_try_again(as_told_by_brokers(code), &tries));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STRID_OK;
    return error_set(err, STRID_EUNREACHABLE, COMPONENT,
                     "%s [%" PRId32 "] on %s: %s: %s; check "
                     "the brokers",
                     partitions[wrong]->topic->name, partitions[wrong]->number, brokers,
                     unknown[question], rd_kafka_err2str(code));
}
