#include "kafka_groups.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"

#include "kafka_source_config.h"
#include "kafka_topics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COMPONENT "kafka"

enum { ASK_MS = 15000 };

struct extent {
    int64_t low, high;
};

struct listing {
    const strid_connector_args *args;
    struct kafka_target target;
    rd_kafka_t *client;
    struct kafka_topics topics;
    struct extent *extents; /* of each partition, topic by topic */
    strid_group_fn group_fn;
    void *user;
    bool stopped; /* by the callback */
};

/* A URL that names no topic means all but the brokers' own. */
static strid_status parse_target(struct listing *listing, strid_error *err)
{
    const char *target = listing->args->target;
    const char *path = strncmp(target, "//", 2) == 0 ? strchrnul(target + 2, '/') : "x";
    struct buffer text = {0};
    buffer_printf(&text, "%s%s", target, *path == '\0' ? "/^." : path[1] == '\0' ? "^." : "");
    buffer_put_u8(&text, 0);
    strid_status status = kafka_target_parse((const char *)text.data, &listing->target, err);
    buffer_fini(&text);
    return status;
}

static strid_status begin(struct listing *listing, strid_error *err)
{
    const struct kafka_source_options *options = listing->args->options;
    const struct kafka_prefetch prefetch = {
        .fetch_bytes = 1u << 20, .bytes = 1u << 20, .messages = 1000};
    rd_kafka_conf_t *conf = NULL;
    STRID_TRY(parse_target(listing, err));
    STRID_TRY(kafka_source_config_make(listing->target.brokers, listing->args->pipeline, options,
                                       &prefetch, &conf, err));
    STRID_TRY(
        kafka_client_create(RD_KAFKA_CONSUMER, conf, listing->args->log, &listing->client, err));
    STRID_TRY(kafka_topics_resolve(listing->client, listing->target.brokers, listing->target.topic,
                                   KAFKA_TOPICS_TO_SHOW, &listing->topics, err));
    listing->extents =
        memory_alloc_zeroed((listing->topics.partitions + 1) * sizeof *listing->extents);
    for (uint32_t t = 0; t < listing->topics.count; t++) {
        const struct kafka_topic *topic = &listing->topics.items[t];
        for (uint32_t p = 0; p < topic->partitions; p++) {
            struct extent *extent = &listing->extents[topic->first + p];
            rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
                listing->client, topic->name, (int32_t)p, &extent->low, &extent->high, ASK_MS);
            if (code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT)
                return error_set(err, STRID_EUNREACHABLE, COMPONENT,
                                 "%s [%" PRIu32 "] of %s: no answer: %s", topic->name, p,
                                 listing->target.brokers, rd_kafka_err2str(code));
            if (code != RD_KAFKA_RESP_ERR_NO_ERROR) /* it has no leader: nothing is known */
                extent->low = extent->high = -1;
        }
    }
    return STRID_OK;
}

static void end(struct listing *listing)
{
    kafka_topics_fini(&listing->topics);
    if (listing->client != NULL)
        kafka_client_destroy(listing->client);
    memory_free(listing->extents);
    kafka_target_fini(&listing->target);
}

strid_status kafka_groups_topics(const strid_connector_args *args, strid_topic_fn fn, void *user,
                                 strid_error *err)
{
    struct listing listing = {.args = args};
    strid_status status = begin(&listing, err);
    bool more = true;
    for (uint32_t t = 0; status == STRID_OK && more && t < listing.topics.count; t++) {
        const struct kafka_topic *topic = &listing.topics.items[t];
        strid_topic_info info = {
            .topic = topic->name, .partitions = topic->partitions, .groups = STRID_UNKNOWN};
        for (uint32_t p = 0; p < topic->partitions; p++) {
            const struct extent *extent = &listing.extents[topic->first + p];
            info.without_leader += topic->leaders[p] < 0 ? 1 : 0;
            if (extent->high < 0)
                info.records = STRID_UNKNOWN;
            else if (info.records != STRID_UNKNOWN)
                info.records += (uint64_t)(extent->high - extent->low);
        }
        more = fn(user, &info);
    }
    end(&listing);
    return status;
}

/* Big-endian, as the consumer protocol has them; beyond the end: 0. */
static uint64_t take_number(struct cursor *at, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | cursor_u8(at);
    return number;
}

/* Whether a member's assignment (version, then topics with their partitions) has the partition. */
static bool is_assigned(const struct rd_kafka_group_member_info *member, const char *topic,
                        uint32_t partition)
{
    struct cursor at = cursor_of(
        strid_bytes_of(member->member_assignment, (size_t)member->member_assignment_size));
    (void)take_number(&at, 2);
    uint64_t topics = take_number(&at, 4);
    for (uint64_t t = 0; t < topics && !at.failed; t++) {
        strid_bytes name = cursor_bytes(&at, take_number(&at, 2));
        uint64_t count = take_number(&at, 4);
        bool found = false;
        for (uint64_t p = 0; p < count && !at.failed; p++)
            found = take_number(&at, 4) == partition || found;
        if (found && !at.failed && strid_bytes_equal(name, strid_bytes_of_text(topic)))
            return true;
    }
    return false;
}

static bool list_partition(struct listing *listing, const struct rd_kafka_group_info *group,
                           const struct kafka_topic *topic, uint32_t partition, int64_t committed)
{
    const struct rd_kafka_group_member_info *member = NULL;
    const struct extent *extent = &listing->extents[topic->first + partition];
    for (int m = 0; m < group->member_cnt && member == NULL; m++)
        if (is_assigned(&group->members[m], topic->name, partition))
            member = &group->members[m];
    if (committed < 0 && member == NULL)
        return true;
    strid_group_info info = {.group = group->group,
                             .topic = topic->name,
                             .partition = partition,
                             .has_current = committed >= 0,
                             .has_end = extent->high >= 0,
                             .current = {0, (uint64_t)committed},
                             .end = {0, (uint64_t)extent->high},
                             .lag = STRID_UNKNOWN,
                             .pending = STRID_UNKNOWN,
                             .length = STRID_UNKNOWN,
                             .dead_letters = STRID_UNKNOWN,
                             .idle_ms = STRID_UNKNOWN,
                             .state = group->state};
    if (info.has_current && info.has_end) /* ahead of the end: the topic was made anew */
        info.lag = committed <= extent->high ? (uint64_t)(extent->high - committed) : STRID_UNKNOWN;
    if (member != NULL) {
        info.consumer = member->member_id;
        info.host = member->client_host;
        info.client = member->client_id;
    }
    return listing->group_fn(listing->user, &info);
}

static rd_kafka_topic_partition_list_t *all_partitions(const struct listing *listing)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)listing->topics.partitions);
    for (uint32_t t = 0; t < listing->topics.count; t++)
        for (uint32_t p = 0; p < listing->topics.items[t].partitions; p++)
            (void)rd_kafka_topic_partition_list_add(list, listing->topics.items[t].name,
                                                    (int32_t)p);
    return list;
}

/* NULL: the event holds none. */
static const rd_kafka_group_result_t *result_of(rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_group_result_t **results = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    return count == 0 ? NULL : results[0];
}

/* Of the answer as a whole, or of its only group. */
static rd_kafka_resp_err_t code_of(rd_kafka_event_t *event)
{
    if (event == NULL)
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return rd_kafka_event_error(event);
    const rd_kafka_group_result_t *result = result_of(event);
    const rd_kafka_error_t *why = result == NULL ? NULL : rd_kafka_group_result_error(result);
    return why == NULL ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(why);
}

/* What the group has committed, of all partitions, in their order. A coordinator that has just come
 * up does not know yet. The caller destroys the event. */
static strid_status ask_committed(struct listing *listing, const char *group,
                                  rd_kafka_event_t **event, strid_error *err)
{
    rd_kafka_topic_partition_list_t *all = all_partitions(listing);
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(group, all);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(listing->client);
    rd_kafka_resp_err_t code;
    int tries = 0;
    *event = NULL;
    do {
        if (*event != NULL)
            rd_kafka_event_destroy(*event);
        rd_kafka_ListConsumerGroupOffsets(listing->client, &request, 1, NULL, queue);
        *event = rd_kafka_queue_poll(queue, ASK_MS * 2);
        code = code_of(*event);
    } while (kafka_client_try_again(code, &tries));
    rd_kafka_queue_destroy(queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_topic_partition_list_destroy(all);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STRID_OK;
    if (*event != NULL)
        rd_kafka_event_destroy(*event);
    return error_set(err, STRID_EUNREACHABLE, COMPONENT, "the offsets of group %s on %s: %s", group,
                     listing->target.brokers, rd_kafka_err2str(code));
}

static strid_status list_group(struct listing *listing, const struct rd_kafka_group_info *group,
                               strid_error *err)
{
    rd_kafka_event_t *event = NULL;
    STRID_TRY(ask_committed(listing, group->group, &event, err));
    const rd_kafka_group_result_t *result = result_of(event);
    const rd_kafka_topic_partition_list_t *offsets =
        result == NULL ? NULL : rd_kafka_group_result_partitions(result);
    for (uint32_t t = 0; offsets != NULL && t < listing->topics.count; t++) {
        const struct kafka_topic *topic = &listing->topics.items[t];
        for (uint32_t p = 0; p < topic->partitions && !listing->stopped; p++) {
            const rd_kafka_topic_partition_t *found = rd_kafka_topic_partition_list_find(
                (rd_kafka_topic_partition_list_t *)(uintptr_t)offsets, topic->name, (int32_t)p);
            listing->stopped =
                !list_partition(listing, group, topic, p, found == NULL ? -1 : found->offset);
        }
    }
    rd_kafka_event_destroy(event);
    return STRID_OK;
}

static int by_group(const void *a, const void *b)
{
    return strcmp(((const struct rd_kafka_group_info *)a)->group,
                  ((const struct rd_kafka_group_info *)b)->group);
}

static strid_status list_groups(struct listing *listing, strid_error *err)
{
    const struct kafka_source_options *options = listing->args->options;
    const struct rd_kafka_group_list *groups = NULL;
    rd_kafka_resp_err_t code;
    int tries = 0;
    do
        code = rd_kafka_list_groups(listing->client, options->group, &groups, ASK_MS);
    while (kafka_client_try_again(code, &tries));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__PARTIAL)
        return error_set(err, STRID_EUNREACHABLE, COMPONENT, "the groups of %s: %s",
                         listing->target.brokers, rd_kafka_err2str(code));
    strid_status status = STRID_OK;
    if (groups->group_cnt > 0)
        qsort(groups->groups, (size_t)groups->group_cnt, sizeof *groups->groups, by_group);
    for (int g = 0; g < groups->group_cnt && status == STRID_OK && !listing->stopped; g++)
        status = list_group(listing, &groups->groups[g], err);
    rd_kafka_group_list_destroy(groups);
    return status;
}

strid_status kafka_groups_list(const strid_connector_args *args, strid_group_fn fn, void *user,
                               strid_error *err)
{
    struct listing listing = {.args = args, .group_fn = fn, .user = user};
    strid_status status = begin(&listing, err);
    if (status == STRID_OK)
        status = list_groups(&listing, err);
    end(&listing);
    return status;
}
