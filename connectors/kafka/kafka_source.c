/* The Kafka source: a simple consumer, all of whose partitions this node reads, or those that its
 * group gives it (kafka_member). Where a partition begins is found by kafka_place; then librdkafka
 * fetches it into the lane of the reader that polls it, message by message into chunks;
 * kafka_control tells the group.
 * @thread as the source contract says; readers meet only at a lane's lock */
#include "kafka_source.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#include "kafka_circle.h"
#include "kafka_control.h"
#include "kafka_hand_back.h"
#include "kafka_inspect.h"
#include "kafka_member.h"
#include "kafka_record.h"
#include "kafka_reset.h"
#include "kafka_session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COMPONENT "kafka"

enum { CLIENT_MAX = 128 };
static const uint64_t memory_default = UINT64_C(64) << 20;

struct kafka_source {
    strid_connector_args args;
    const struct kafka_source_options *options;
    struct kafka_target target;
    struct kafka_prefetch prefetch;
    struct kafka_place place;
    struct kafka_session *session;
    struct kafka_member *member; /* NULL: static assignment */
    struct kafka_control *control;
};

static struct kafka_source *of(strid_source *self) { return (struct kafka_source *)self; }

static strid_status start_control(struct kafka_source *source, strid_error *err)
{
    struct kafka_session *session = source->session;
    return kafka_control_create(&(struct kafka_control_args){.session = session,
                                                             .client = session->client,
                                                             .brokers = source->target.brokers,
                                                             .wanted = source->target.topic,
                                                             .options = source->options,
                                                             .topics = &session->topics,
                                                             .partitions = session->partitions,
                                                             .member = source->member,
                                                             .member_client = session->member,
                                                             .log = source->args.log},
                                &source->control, err);
}

static strid_status open_session(struct kafka_source *source, const char *client, strid_error *err)
{
    rd_kafka_conf_t *conf = NULL;
    uint32_t lanes = source->args.readers == 0 ? 1 : source->args.readers;
    uint64_t memory = source->args.memory_bytes == 0 ? memory_default : source->args.memory_bytes;
    source->prefetch = kafka_source_config_divide(memory, lanes);
    STRID_TRY(kafka_source_config_make(source->target.brokers, client, source->options,
                                       &source->prefetch, &conf, err));
    STRID_TRY(
        kafka_session_open(conf, &source->target, lanes, source->args.log, &source->session, err));
    source->place.client = source->session->client;
    return STRID_OK;
}

/* Members of a group, if it shares the partitions out, and the thread beside the readers. */
static strid_status begin(struct kafka_source *source, const char *client, strid_error *err)
{
    strid_status status = STRID_OK;
    if (source->options->assign == KAFKA_ASSIGN_GROUP)
        status = kafka_member_create(source->session, &source->place, client, &source->member, err);
    if (status == STRID_OK)
        status = start_control(source, err);
    if (status != STRID_OK) {
        kafka_member_destroy(source->member);
        kafka_session_close(source->session, source->args.log);
    }
    return status;
}

static strid_status check_options(const struct kafka_source_options *options,
                                  struct kafka_start *start, strid_error *err)
{
    STRID_TRY(kafka_source_config_check(options, err));
    return kafka_source_config_start(options, start, err);
}

static strid_status source_check(const strid_connector_args *args, strid_error *err)
{
    struct kafka_start start;
    struct kafka_target target;
    STRID_TRY(check_options(args->options, &start, err));
    STRID_TRY(kafka_target_parse(args->target, &target, err));
    strid_status status = kafka_topics_check(target.topic, err);
    kafka_target_fini(&target);
    return status;
}

static strid_status source_open(strid_source *self, const strid_connector_args *args,
                                strid_error *err)
{
    struct kafka_source *source = of(self);
    char client[CLIENT_MAX];
    source->args = *args;
    source->options = args->options;
    struct kafka_start start;
    STRID_TRY(check_options(source->options, &start, err));
    STRID_TRY(kafka_target_parse(args->target, &source->target, err));
    source->place = (struct kafka_place){.brokers = source->target.brokers,
                                         .log = args->log,
                                         .options = source->options,
                                         .start = start,
                                         .prefetch = &source->prefetch,
                                         .keeps_state = args->keeps_state,
                                         .takes_fingerprints = true};
    (void)snprintf(client, sizeof client, "strid-%s", args->pipeline);
    strid_status status = open_session(source, client, err);
    if (status == STRID_OK)
        status = begin(source, client, err);
    if (status != STRID_OK)
        kafka_target_fini(&source->target);
    return status;
}

static uint32_t source_partition_count(strid_source *self)
{
    return of(self)->session->topics.partitions;
}

static void source_describe(strid_source *self, uint32_t partition, strid_partition_info *info)
{
    const struct kafka_partition *found = &of(self)->session->partitions[partition];
    info->topic = found->topic->name;
    info->identity = found->identity;
    info->has_number = true;
    info->number = (uint32_t)found->number;
    info->bytes_total = UINT64_MAX;
}

/* Partitions from `first` on begin to be fetched. */
static strid_status assign_some(struct kafka_source *source, uint32_t first, uint32_t count,
                                const strid_resume *resumes, strid_error *err)
{
    struct kafka_session *session = source->session;
    struct kafka_partition **some = memory_alloc((count + 1) * sizeof(struct kafka_partition *));
    for (uint32_t i = 0; i < count; i++) {
        some[i] = &session->partitions[first + i];
        kafka_session_stop(session, some[i]);
        some[i]->told = some[i]->ended = false;
        some[i]->owned = some[i]->tells = true;
    }
    strid_status status = kafka_place_find(&source->place, some, resumes, count, err);
    for (uint32_t i = 0; i < count && status == STRID_OK; i++)
        if (some[i]->stop.status == STRID_OK) /* else the first poll says so, and that one stops */
            status = kafka_session_start(session, some[i], err);
    memory_free(some);
    return status;
}

static strid_status source_assign(strid_source *self, uint32_t partition,
                                  const strid_resume *resume, strid_error *err)
{
    struct kafka_source *source = of(self);
    if (source->member != NULL)
        return error_set(err, STRID_EINVAL, COMPONENT,
                         "partitions of a group are assigned all together");
    return assign_some(source, partition, 1, resume, err);
}

static strid_status source_assign_all(strid_source *self, const strid_resume *resumes,
                                      strid_error *err)
{
    struct kafka_source *source = of(self);
    if (source->member != NULL)
        return kafka_member_assign(source->member, resumes, err);
    return assign_some(source, 0, source->session->topics.partitions, resumes, err);
}

static size_t source_fingerprint(strid_source *self, uint32_t partition, uint8_t *out)
{
    const struct kafka_partition *found = &of(self)->session->partitions[partition];
    memcpy(out, found->fingerprint, found->fingerprint_len);
    return found->fingerprint_len;
}

static strid_position at(uint64_t offset) { return (strid_position){0, offset}; }

/* Before `offset` nothing is left that this run could be given. */
static void pass_to(const struct kafka_source *source, struct kafka_partition *partition,
                    uint64_t offset, strid_intake *out)
{
    if (!source->options->follow && offset > partition->end)
        offset = partition->end; /* what comes behind it is for the next run */
    if (offset <= partition->next)
        return;
    partition->next = offset;
    strid_intake_skip(out, at(offset));
}

/* What is next was deleted meanwhile. Whoever opens the source anew finds where the log begins, and
 * says what is passed; or that it was truncated. */
static strid_status take_gap(struct kafka_source *source, struct kafka_partition *partition,
                             const rd_kafka_message_t *message)
{
    if (source->options->on_gap == KAFKA_GAP_SKIP) {
        log_warn(source->args.log, COMPONENT,
                 "%s [%" PRId32 "]: offset %" PRIu64 " is no longer there, and what is there is "
                 "looked up (on_gap: skip): %s",
                 partition->topic->name, partition->number, partition->next,
                 rd_kafka_message_errstr(message));
        kafka_control_reopen(source->control);
        return STRID_OK;
    }
    return error_set(&partition->stop, STRID_EGAP, COMPONENT,
                     "%s [%" PRId32 "]: offset %" PRIu64 " is no longer there: records were "
                     "deleted before they were read, or the topic was truncated; start again "
                     "to see what there is (%s)",
                     partition->topic->name, partition->number, partition->next,
                     rd_kafka_message_errstr(message));
}

/* Errors that end a partition: what comes behind them cannot be known to follow on what was read.
 * Others librdkafka repairs by itself. */
static strid_status take_error(struct kafka_source *source, struct kafka_partition *partition,
                               const rd_kafka_message_t *message, strid_intake *out)
{
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF: /* markers of transactions may lie between */
        pass_to(source, partition, message->offset < 0 ? 0 : (uint64_t)message->offset, out);
        return STRID_OK;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return take_gap(source, partition, message);
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_REQUEST:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
        return error_set(&partition->stop, STRID_EGAP, COMPONENT,
                         "%s [%" PRId32 "] cannot be read from offset %" PRIu64 " on: %s; repair "
                         "or restore it, then start again",
                         partition->topic->name, partition->number, partition->next,
                         rd_kafka_message_errstr(message));
    default: /* such as a topic that is not there at the moment: kafka_control finds out */
        log_warn(source->args.log, COMPONENT, "%s [%" PRId32 "]: %s", partition->topic->name,
                 partition->number, rd_kafka_message_errstr(message));
        return STRID_OK;
    }
}

/* STRID_AGAIN: the intake did not take it. */
static strid_status take_message(struct kafka_source *source, struct kafka_partition *partition,
                                 const struct kafka_message *message, strid_intake *out)
{
    if (__builtin_expect(message->raw.err != RD_KAFKA_RESP_ERR_NO_ERROR, 0))
        return take_error(source, partition, &message->raw, out);
    uint64_t offset = (uint64_t)message->raw.offset;
    if (__builtin_expect(offset < partition->next, 0)) {
        partition->stale++;
        return STRID_OK;
    }
    if (!source->options->follow && offset >= partition->end) { /* came after the run began */
        pass_to(source, partition, offset, out);
        return STRID_OK;
    }
    strid_status status = kafka_record_add(message, out);
    if (status == STRID_OK)
        partition->next = offset + 1;
    return status;
}

/* Whether the turn of the partition that it is of comes. */
static bool is_awaited(struct kafka_source *source, const rd_kafka_message_t *raw)
{
    const struct kafka_partition *owner = kafka_session_owner(source->session, raw);
    return raw->rkt != NULL && owner != NULL && owner->owned && !owner->ended &&
           owner->stop.status == STRID_OK;
}

/* Up to records_max messages of the partition, as long as they stand at the head of the lane. */
static strid_status poll_lane(struct kafka_source *source, struct kafka_lane *lane,
                              struct kafka_partition *partition, strid_intake *out,
                              uint32_t records_max)
{
    rd_kafka_topic_t *handle = partition->topic->handle;
    for (uint32_t taken = 0; taken < records_max; taken++) {
        const struct kafka_message *message =
            kafka_lane_first(lane, &source->prefetch, handle, partition->number);
        strid_status status = STRID_OK;
        if (message == NULL)
            return STRID_AGAIN;
        if (message->raw.rkt == handle && message->raw.partition == partition->number)
            status = take_message(source, partition, message, out);
        else if (is_awaited(source, &message->raw))
            status = STRID_AGAIN;
        if (status == STRID_AGAIN)
            return status;
        kafka_stage_pass(&lane->stage);
        if (status != STRID_OK)
            return status;
    }
    return STRID_OK;
}

/* @locks needs the lane's */
static strid_status poll_owned(struct kafka_source *source, struct kafka_partition *partition,
                               strid_intake *out, uint32_t records_max, strid_error *err)
{
    struct kafka_lane *lane = kafka_session_lane(source->session, partition->index);
    strid_status status = STRID_EOF;
    if (!partition->told && partition->stop.status == STRID_OK) {
        partition->told = true;
        if (partition->next > 0)
            strid_intake_skip(out, at(partition->next)); /* makes the place durable soon */
    }
    if (!partition->ended && partition->stop.status == STRID_OK) {
        status = poll_lane(source, lane, partition, out, records_max);
        if (!source->options->follow && partition->next >= partition->end)
            partition->ended = true;
    }
    if (partition->stop.status != STRID_OK) {
        *err = partition->stop;
        status = partition->stop.status;
    }
    return status;
}

static strid_status source_poll(strid_source *self, uint32_t index, strid_intake *out,
                                uint32_t records_max, strid_error *err)
{
    struct kafka_source *source = of(self);
    struct kafka_partition *partition = &source->session->partitions[index];
    struct kafka_lane *lane = kafka_session_lane(source->session, index);
    strid_status status = STRID_AGAIN;
    if (source->member != NULL)
        STRID_TRY(kafka_member_failure(source->member, err));
    pthread_mutex_lock(&lane->lock);
    if (partition->owned)
        status = poll_owned(source, partition, out, records_max, err);
    bool drained = kafka_lane_drained(lane, &source->prefetch);
    pthread_mutex_unlock(&lane->lock);
    if (drained)
        kafka_control_kick(source->control);
    return status;
}

static strid_status source_ack(strid_source *self, uint32_t partition, strid_position low,
                               strid_error *err)
{
    (void)err;
    atomic_store_explicit(&of(self)->session->partitions[partition].low, (int64_t)low.low,
                          memory_order_release);
    return STRID_OK;
}

static void source_close(strid_source *self)
{
    struct kafka_source *source = of(self);
    kafka_control_destroy(source->control);
    kafka_member_destroy(source->member);
    kafka_session_close(source->session, source->args.log);
    kafka_target_fini(&source->target);
}

static strid_status source_dlq_url(strid_source *self, char *out, size_t size)
{
    const struct kafka_source *source = of(self);
    return kafka_source_config_dlq(source->target.brokers, source->target.topic, source->options,
                                   out, size);
}

static strid_status source_hand_back(strid_source *self, const strid_connector_args *dlq,
                                     strid_letter_fate_fn fn, void *user,
                                     struct strid_dlq_replayed *result, strid_error *err)
{
    return kafka_hand_back(of(self)->session, dlq, fn, user, result, err);
}

static struct kafka_reset reset_of(const struct kafka_source *source)
{
    return (struct kafka_reset){
        .session = source->session, .brokers = source->target.brokers, .options = source->options};
}

static strid_status source_locate(strid_source *self, const strid_place *to,
                                  strid_relocation *partitions, uint32_t count, strid_error *err)
{
    const struct kafka_reset reset = reset_of(of(self));
    return kafka_reset_locate(&reset, to, partitions, count, err);
}

static strid_status source_move_group(strid_source *self, const strid_relocation *partitions,
                                      uint32_t count, strid_error *err)
{
    const struct kafka_reset reset = reset_of(of(self));
    return kafka_reset_move(&reset, partitions, count, err);
}

static bool source_is_shared(strid_source *self) { return of(self)->member != NULL; }

static bool source_is_fed(strid_source *self, const char *target, const char *queue)
{
    return kafka_circle_closes(target, queue, self == NULL ? NULL : &of(self)->session->topics);
}

static bool source_changed(strid_source *self) { return kafka_control_changed(of(self)->control); }

const strid_source_ops kafka_source_ops = {
    .abi_version = STRID_SOURCE_ABI_VERSION,
    .flags = STRID_SOURCE_REPLAYABLE | STRID_SOURCE_BOUNDED | STRID_SOURCE_BUFFERED,
    .name = "kafka",
    .inspect = &kafka_inspect_ops,
    .assign_all = source_assign_all,
    .is_shared = source_is_shared,
    .summary = "Records of Kafka topics",
    .options = kafka_source_config,
    .options_size = sizeof(struct kafka_source_options),
    .instance_size = sizeof(struct kafka_source),
    .open = source_open,
    .partition_count = source_partition_count,
    .describe = source_describe,
    .assign = source_assign,
    .fingerprint = source_fingerprint,
    .poll = source_poll,
    .ack = source_ack,
    .close = source_close,
    .dlq_url = source_dlq_url,
    .changed = source_changed,
    .locate = source_locate,
    .move_group = source_move_group,
    .hand_back = source_hand_back,
    .check = source_check,
    .is_fed = source_is_fed,
};
