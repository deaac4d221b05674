#include "kafka_reset.h"

#include "base/assert.h"
#include "base/error.h"

#include <inttypes.h>
#include <string.h>

#define COMPONENT "kafka"

enum { ASK_MS = 15000 };

struct extent {
    int64_t low, high;
};

static const struct kafka_partition *partition_of(const struct kafka_reset *reset,
                                                  const strid_relocation *relocation)
{
    STRID_ASSERT(relocation->partition < reset->session->topics.partitions);
    return &reset->session->partitions[relocation->partition];
}

static strid_status no_answer(const struct kafka_reset *reset, const char *what,
                              rd_kafka_resp_err_t code, strid_error *err)
{
    const char *group = reset->options->group;
    return error_set(err, STRID_EUNREACHABLE, COMPONENT,
                     "%s of group %s on %s: %s; check the "
                     "brokers and the user's rights",
                     what, group == NULL ? "-" : group, reset->brokers, rd_kafka_err2str(code));
}

/* In the order of `partitions`; the caller destroys it. */
static rd_kafka_topic_partition_list_t *list_of(const struct kafka_reset *reset,
                                                const strid_relocation *partitions, uint32_t count,
                                                int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (uint32_t i = 0; i < count; i++) {
        const struct kafka_partition *partition = partition_of(reset, &partitions[i]);
        rd_kafka_topic_partition_list_add(list, partition->topic->name, partition->number)->offset =
            offset;
    }
    return list;
}

/* What others read with the group would be told to go back by them at once. */
static strid_status check_members(const struct kafka_reset *reset, strid_error *err)
{
    const struct rd_kafka_group_list *groups = NULL;
    const char *group = reset->options->group;
    rd_kafka_resp_err_t code;
    int tries = 0;
    do
        code = rd_kafka_list_groups(reset->session->client, group, &groups, ASK_MS);
    while (kafka_client_try_again(code, &tries));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__PARTIAL)
        return no_answer(reset, "the members", code, err);
    strid_status status = STRID_OK;
    for (int g = 0; g < groups->group_cnt && status == STRID_OK; g++) {
        const struct rd_kafka_group_info *found = &groups->groups[g];
        if (found->member_cnt == 0 || strcmp(found->group, group) != 0)
            continue;
        status = error_set(err, STRID_EBUSY, COMPONENT,
                           "group %s on %s is in use: it is %s with %d member%s, one of them %s on "
                           "%s; stop them first",
                           group, reset->brokers, found->state, found->member_cnt,
                           found->member_cnt == 1 ? "" : "s", found->members[0].client_id,
                           found->members[0].client_host);
    }
    rd_kafka_group_list_destroy(groups);
    return status;
}

static strid_status find_committed(const struct kafka_reset *reset, strid_relocation *partitions,
                                   uint32_t count, strid_error *err)
{
    rd_kafka_topic_partition_list_t *list =
        list_of(reset, partitions, count, RD_KAFKA_OFFSET_INVALID);
    rd_kafka_resp_err_t code;
    int tries = 0;
    bool is_known = false;
    do {
        code = rd_kafka_committed(reset->session->client, list, ASK_MS);
        for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
            code = list->elems[i].err;
    } while (kafka_client_try_again(code, &tries));
    for (uint32_t i = 0; i < count; i++) {
        strid_relocation *relocation = &partitions[i];
        relocation->group = reset->options->group;
        relocation->has_current = list->elems[i].offset >= 0;
        if (relocation->has_current)
            relocation->current.low = (uint64_t)list->elems[i].offset;
        is_known = is_known || relocation->has_current || relocation->is_held;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return no_answer(reset, "the offsets", code, err);
    if (is_known)
        return STRID_OK;
    return error_set(err, STRID_ENOTFOUND, COMPONENT,
                     "group %s has committed nothing there on %s; `strid groups` lists those that "
                     "have",
                     reset->options->group, reset->brokers);
}

static strid_status find_extent(const struct kafka_reset *reset,
                                const struct kafka_partition *partition, struct extent *out,
                                strid_error *err)
{
    rd_kafka_resp_err_t code;
    int tries = 0;
    do
        code = rd_kafka_query_watermark_offsets(reset->session->client, partition->topic->name,
                                                partition->number, &out->low, &out->high, ASK_MS);
    while (kafka_client_try_again(code, &tries));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STRID_OK;
    return error_set(err, STRID_EUNREACHABLE, COMPONENT,
                     "%s [%" PRId32 "] on %s: its first and last offset are not known: %s; check "
                     "the brokers",
                     partition->topic->name, partition->number, reset->brokers,
                     rd_kafka_err2str(code));
}

/* `low` of each: the first offset of that time or later, -1 where all are older. */
static strid_status find_times(const struct kafka_reset *reset, int64_t time_ms,
                               strid_relocation *partitions, uint32_t count, strid_error *err)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    rd_kafka_resp_err_t code;
    int tries = 0;
    do {
        if (list != NULL)
            rd_kafka_topic_partition_list_destroy(list);
        list = list_of(reset, partitions, count, time_ms);
        code = rd_kafka_offsets_for_times(reset->session->client, list, ASK_MS);
        for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
            code = list->elems[i].err;
    } while (kafka_client_try_again(code, &tries));
    for (uint32_t i = 0; i < count; i++) {
        int64_t offset = list->elems[i].offset;
        partitions[i].wanted.low = offset < 0 ? UINT64_MAX : (uint64_t)offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? STRID_OK
               : no_answer(reset, "the offsets of a time for the topics", code, err);
}

static uint64_t clamp(uint64_t offset, const struct extent *extent)
{
    if (offset < (uint64_t)extent->low)
        return (uint64_t)extent->low;
    return offset > (uint64_t)extent->high ? (uint64_t)extent->high : offset;
}

/* The node's own place counts: that of the group may be behind it. */
static strid_status shift(const struct kafka_partition *partition, int64_t by,
                          const struct extent *extent, strid_relocation *relocation,
                          strid_error *err)
{
    if (!relocation->has_node && !relocation->has_current)
        return error_set(err, STRID_EINVAL, COMPONENT,
                         "%s [%" PRId32
                         "] was never read, so it stands nowhere: say where it is to "
                         "go",
                         partition->topic->name, partition->number);
    uint64_t from = relocation->has_node ? relocation->node.low : relocation->current.low;
    uint64_t far = by < 0 ? 0 - (uint64_t)by : (uint64_t)by;
    if (by < 0)
        relocation->wanted.low = far > from ? 0 : from - far;
    else if (__builtin_add_overflow(from, far, &relocation->wanted.low))
        relocation->wanted.low = UINT64_MAX;
    relocation->wanted.low = clamp(relocation->wanted.low, extent);
    return STRID_OK;
}

static strid_status find_place(const struct kafka_reset *reset, const strid_place *to,
                               strid_relocation *relocation, strid_error *err)
{
    const struct kafka_partition *partition = partition_of(reset, relocation);
    struct extent extent = {0, 0};
    STRID_TRY(find_extent(reset, partition, &extent, err));
    switch (to->kind) {
    case STRID_PLACE_EARLIEST:
        relocation->wanted.low = (uint64_t)extent.low;
        return STRID_OK;
    case STRID_PLACE_LATEST:
        relocation->wanted.low = (uint64_t)extent.high;
        return STRID_OK;
    case STRID_PLACE_TIME: /* found before, for all at once */
        relocation->wanted.low = clamp(relocation->wanted.low, &extent);
        return STRID_OK;
    case STRID_PLACE_SHIFT:
        return shift(partition, to->shift, &extent, relocation, err);
    case STRID_PLACE_POSITION:
        relocation->wanted.low = to->position.low;
        break;
    }
    if (relocation->wanted.low == clamp(relocation->wanted.low, &extent))
        return STRID_OK;
    return error_set(err, STRID_EINVAL, COMPONENT,
                     "%s [%" PRId32 "] holds offsets %" PRId64 " to before %" PRId64
                     ", so it cannot be gone on with at %" PRIu64,
                     partition->topic->name, partition->number, extent.low, extent.high,
                     relocation->wanted.low);
}

strid_status kafka_reset_locate(const struct kafka_reset *reset, const strid_place *to,
                                strid_relocation *partitions, uint32_t count, strid_error *err)
{
    if (reset->options->group != NULL) {
        STRID_TRY(check_members(reset, err));
        STRID_TRY(find_committed(reset, partitions, count, err));
    }
    if (to->kind == STRID_PLACE_TIME)
        STRID_TRY(find_times(reset, to->time_ms, partitions, count, err));
    for (uint32_t i = 0; i < count; i++)
        STRID_TRY(find_place(reset, to, &partitions[i], err));
    return STRID_OK;
}

/* Of the answer as a whole, of the group, or of the first partition that was refused. */
static rd_kafka_resp_err_t code_of(rd_kafka_event_t *event)
{
    size_t count = 0;
    if (event == NULL)
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rd_kafka_event_error(event);
    const rd_kafka_group_result_t **results = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count);
    const rd_kafka_error_t *why = count == 0 ? NULL : rd_kafka_group_result_error(results[0]);
    if (why != NULL)
        return rd_kafka_error_code(why);
    const rd_kafka_topic_partition_list_t *list =
        count == 0 ? NULL : rd_kafka_group_result_partitions(results[0]);
    for (int i = 0; list != NULL && i < list->cnt; i++)
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return list->elems[i].err;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

strid_status kafka_reset_move(const struct kafka_reset *reset, const strid_relocation *partitions,
                              uint32_t count, strid_error *err)
{
    rd_kafka_topic_partition_list_t *list = list_of(reset, partitions, count, 0);
    for (uint32_t i = 0; i < count; i++)
        list->elems[i].offset = (int64_t)partitions[i].wanted.low;
    rd_kafka_AlterConsumerGroupOffsets_t *request =
        rd_kafka_AlterConsumerGroupOffsets_new(reset->options->group, list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(reset->session->client);
    rd_kafka_resp_err_t code;
    int tries = 0;
    do {
        rd_kafka_AlterConsumerGroupOffsets(reset->session->client, &request, 1, NULL, queue);
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ASK_MS * 2);
        code = code_of(event);
        if (event != NULL)
            rd_kafka_event_destroy(event);
    } while (kafka_client_try_again(code, &tries));
    rd_kafka_queue_destroy(queue);
    rd_kafka_AlterConsumerGroupOffsets_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STRID_OK;
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID)
        return error_set(err, STRID_EBUSY, COMPONENT,
                         "group %s on %s is in use again: stop its members first",
                         reset->options->group, reset->brokers);
    return no_answer(reset, "the new offsets", code, err);
}
