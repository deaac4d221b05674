#include "kafka_control.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#include <inttypes.h>
#include <pthread.h>

#define COMPONENT "kafka"

enum { WAIT_MS = 100, HURRY_MS = 10, KICK_MS = 1000, LEADERS_MAX = 64, FINISH_MS = 5000 };
static const int64_t second_ns = 1000000000, retry_min_ns = 200000000, retry_max_ns = 10000000000;

/* One commit, from its sending to its answer. */
struct commit {
    rd_kafka_topic_partition_list_t *list;
    uint32_t *indexes; /* of the partitions in the list, in its order */
    bool under_way;
    int64_t next_ns;  /* no sooner */
    int64_t retry_ns; /* the pause after the next failure; 0: the last one succeeded */
};

struct kafka_control {
    struct kafka_control_args args;
    rd_kafka_queue_t *queue; /* that of who commits: the member, or else the client's main one */
    rd_kafka_queue_t *main;  /* with a member: the client's */
    pthread_t thread;
    struct commit commit;
    int64_t refresh_ns;   /* when topics are looked up next */
    _Atomic bool stop;    /* set by destroy; carries no other data */
    _Atomic bool kicked;  /* set by readers; carries no other data */
    _Atomic bool changed; /* set by the thread and by readers; carries no other data */
};

static int64_t now_ns(void) { return clock_monotonic_ns(&clock_system); }

static int64_t low_of(const struct kafka_control *control, uint32_t index)
{
    return atomic_load_explicit(&control->args.partitions[index].low, memory_order_acquire);
}

/* The group is to be told. */
static bool is_owed(const struct kafka_control *control, uint32_t index)
{
    const struct kafka_partition *partition = &control->args.partitions[index];
    if (control->args.member != NULL && !partition->tells)
        return false;
    return low_of(control, index) > partition->committed;
}

static bool is_behind(const struct kafka_control *control)
{
    for (uint32_t p = 0; p < control->args.topics->partitions; p++)
        if (is_owed(control, p))
            return true;
    return false;
}

static void send_commit(struct kafka_control *control)
{
    struct commit *commit = &control->commit;
    uint32_t count = 0;
    for (uint32_t p = 0; p < control->args.topics->partitions; p++) {
        const struct kafka_partition *partition = &control->args.partitions[p];
        if (!is_owed(control, p))
            continue;
        if (count == 0)
            commit->list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(commit->list, partition->topic->name, partition->number)
            ->offset = low_of(control, p);
        commit->indexes[count++] = p;
    }
    if (count == 0)
        return;
    rd_kafka_t *client =
        control->args.member == NULL ? control->args.client : control->args.member_client;
    rd_kafka_resp_err_t code =
        rd_kafka_commit_queue(client, commit->list, control->queue, NULL, NULL);
    commit->under_way = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!commit->under_way) {
        rd_kafka_topic_partition_list_destroy(commit->list);
        log_error(control->args.log, COMPONENT, "group %s cannot be told of progress: %s",
                  control->args.options->group, rd_kafka_err2str(code));
        commit->next_ns = now_ns() + retry_max_ns;
    }
}

/* What to do about it, for people. All are tried again; nothing hangs on it but what others see. */
static const char *advice_for(const struct kafka_control *control, rd_kafka_resp_err_t code)
{
    if (control->args.member != NULL && code != RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        return "told again later, by whoever reads these partitions then";
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
        return "another program is a member of this group: give this pipeline a group of its own";
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return "give this user the right to read with this group";
    default:
        return "told again later";
    }
}

static void take_answer(struct kafka_control *control, rd_kafka_event_t *event)
{
    struct commit *commit = &control->commit;
    rd_kafka_topic_partition_list_t *answers = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (!commit->under_way)
        return;
    for (int i = 0; i < commit->list->cnt; i++) {
        bool own = answers != NULL && i < answers->cnt;
        rd_kafka_resp_err_t one = own && code == 0 ? answers->elems[i].err : code;
        if (one == RD_KAFKA_RESP_ERR_NO_ERROR)
            control->args.partitions[commit->indexes[i]].committed = commit->list->elems[i].offset;
        else if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            code = one;
    }
    commit->under_way = false;
    rd_kafka_topic_partition_list_destroy(commit->list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__NO_OFFSET) {
        commit->retry_ns = 0;
        commit->next_ns = now_ns() + control->args.options->commit_interval_ms * 1000000;
        return;
    }
    commit->retry_ns = commit->retry_ns == 0 ? retry_min_ns : 2 * commit->retry_ns;
    commit->retry_ns = commit->retry_ns > retry_max_ns ? retry_max_ns : commit->retry_ns;
    commit->next_ns = now_ns() + commit->retry_ns;
    log_warn(control->args.log, COMPONENT, "group %s was not told of progress: %s; %s",
             control->args.options->group, rd_kafka_err2str(code), advice_for(control, code));
}

/* Another node took this one's place in the group for good. */
static void take_fatal(struct kafka_control *control)
{
    char why[256] = "";
    strid_error err = STRID_ERROR_INIT;
    (void)rd_kafka_fatal_error(control->args.member_client, why, sizeof why);
    (void)error_set(&err, STRID_ESTATE, COMPONENT,
                    "group %s has put this node out: %s; give each node a "
                    "kafka.group.instance.id of its own, or none",
                    control->args.options->group, why);
    kafka_member_fail(control->args.member, &err);
}

static void take_event(struct kafka_control *control, rd_kafka_event_t *event)
{
    bool grown = false;
    if (event == NULL)
        return;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT)
        take_answer(control, event);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
        kafka_member_take_event(control->args.member, event, &grown);
    else if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__FATAL &&
             control->args.member != NULL)
        take_fatal(control);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
        log_warn(control->args.log, COMPONENT, "%s", rd_kafka_event_error_string(event));
    if (grown)
        atomic_store_explicit(&control->changed, true, memory_order_relaxed);
    rd_kafka_event_destroy(event);
}

/* Any request makes the thread of that broker look at its queues; the answer is not needed. */
static void kick_brokers(struct kafka_control *control)
{
    int32_t kicked[LEADERS_MAX];
    uint32_t count = 0;
    for (uint32_t t = 0; t < control->args.topics->count; t++) {
        const struct kafka_topic *topic = &control->args.topics->items[t];
        for (uint32_t p = 0; p < topic->partitions; p++) {
            bool known = topic->leaders[p] < 0;
            for (uint32_t k = 0; k < count && !known; k++)
                known = kicked[k] == topic->leaders[p];
            if (known || count == LEADERS_MAX)
                continue;
            kicked[count++] = topic->leaders[p];
            int64_t low, high;
            (void)rd_kafka_query_watermark_offsets(control->args.client, topic->name, (int32_t)p,
                                                   &low, &high, KICK_MS);
        }
    }
}

/* librdkafka only repeats that the topic does not exist, for ever. */
static void stop_gone(struct kafka_control *control, const struct kafka_topic *topic)
{
    for (uint32_t p = topic->first; p < topic->first + topic->partitions; p++) {
        struct kafka_partition *partition = &control->args.partitions[p];
        struct kafka_lane *lane = kafka_session_lane(control->args.session, p);
        pthread_mutex_lock(&lane->lock);
        if (partition->stop.status == STRID_OK)
            (void)error_set(&partition->stop, STRID_EGAP, COMPONENT,
                            "%s [%" PRId32 "] was deleted while it was read, up to offset %" PRIu64
                            "; restore it or take it out of the source, then start again",
                            topic->name, partition->number, partition->next);
        pthread_mutex_unlock(&lane->lock);
    }
}

/* What cannot be looked up now is looked up the next time. */
static void refresh(struct kafka_control *control)
{
    struct kafka_topics now = {0};
    strid_error err = STRID_ERROR_INIT;
    const struct kafka_control_args *args = &control->args;
    strid_status status = kafka_topics_resolve(args->client, args->brokers, args->wanted,
                                               KAFKA_TOPICS_TO_HANDLE, &now, &err);
    if (status == STRID_OK && kafka_topics_grown(args->topics, &now))
        atomic_store_explicit(&control->changed, true, memory_order_relaxed);
    if (status == STRID_OK || status == STRID_ENOTFOUND)
        status = kafka_topics_miss(args->client, args->brokers, args->topics, &now, &err);
    kafka_topics_fini(&now);
    if (status != STRID_OK) {
        log_warn(args->log, COMPONENT, "new partitions were not looked for: %s", err.message);
        return;
    }
    for (uint32_t t = 0; t < args->topics->count; t++)
        if (args->topics->items[t].missed == KAFKA_TOPICS_GONE)
            stop_gone(control, &args->topics->items[t]);
}

/* Other nodes wait for this one. */
static bool gives(const struct kafka_control *control)
{
    return control->args.member != NULL && kafka_member_gives(control->args.member);
}

static void turn(struct kafka_control *control, int wait_ms)
{
    take_event(control, rd_kafka_queue_poll(control->queue, wait_ms));
    if (control->args.member != NULL) {
        take_event(control, rd_kafka_queue_poll(control->main, 0));
        kafka_member_turn(control->args.member,
                          atomic_load_explicit(&control->stop, memory_order_relaxed));
        if (gives(control) && control->commit.retry_ns == 0)
            control->commit.next_ns = 0;
    }
    if (atomic_exchange_explicit(&control->kicked, false, memory_order_relaxed))
        kick_brokers(control);
    if (control->args.options->group != NULL && !control->commit.under_way &&
        now_ns() >= control->commit.next_ns &&
        (control->args.member == NULL || kafka_member_may_tell(control->args.member)))
        send_commit(control);
}

static void *control_main(void *self)
{
    struct kafka_control *control = self;
    int64_t refresh_ns = control->args.options->refresh_ms * 1000000;
    pthread_setname_np(pthread_self(), "strid-kafka");
    while (!atomic_load_explicit(&control->stop, memory_order_acquire)) {
        turn(control, gives(control) ? HURRY_MS : WAIT_MS);
        if (now_ns() < control->refresh_ns)
            continue;
        refresh(control);
        control->refresh_ns = now_ns() + refresh_ns;
    }
    int64_t until = now_ns() + FINISH_MS * (second_ns / 1000);
    control->commit.next_ns = 0;
    while (control->args.options->group != NULL &&
           (is_behind(control) || control->commit.under_way) && now_ns() < until)
        turn(control, WAIT_MS);
    if (control->args.options->group != NULL && is_behind(control))
        log_warn(control->args.log, COMPONENT,
                 "group %s was not told of all progress; the next run tells it, and resumes here",
                 control->args.options->group);
    return NULL;
}

strid_status kafka_control_create(const struct kafka_control_args *args, struct kafka_control **out,
                                  strid_error *err)
{
    struct kafka_control *control = memory_alloc_zeroed(sizeof *control);
    control->args = *args;
    control->main = rd_kafka_queue_get_main(args->client);
    control->queue = args->member == NULL ? control->main : kafka_member_queue(args->member);
    control->commit.indexes =
        memory_alloc((args->topics->partitions + 1) * sizeof *control->commit.indexes);
    control->refresh_ns = now_ns() + args->options->refresh_ms * 1000000;
    int code = pthread_create(&control->thread, NULL, control_main, control);
    if (code == 0) {
        *out = control;
        return STRID_OK;
    }
    rd_kafka_queue_destroy(control->main);
    memory_free(control->commit.indexes);
    memory_free(control);
    return error_set_errno(err, code, COMPONENT, "no thread could be started");
}

void kafka_control_destroy(struct kafka_control *control)
{
    if (control == NULL)
        return;
    atomic_store_explicit(&control->stop, true, memory_order_release);
    rd_kafka_queue_yield(control->queue);
    pthread_join(control->thread, NULL);
    if (control->commit.under_way)
        rd_kafka_topic_partition_list_destroy(control->commit.list);
    rd_kafka_queue_destroy(control->main);
    memory_free(control->commit.indexes);
    memory_free(control);
}

void kafka_control_kick(struct kafka_control *control)
{
    atomic_store_explicit(&control->kicked, true, memory_order_relaxed);
    rd_kafka_queue_yield(control->queue);
}

void kafka_control_reopen(struct kafka_control *control)
{
    atomic_store_explicit(&control->changed, true, memory_order_relaxed);
}

bool kafka_control_changed(const struct kafka_control *control)
{
    return atomic_load_explicit(&control->changed, memory_order_relaxed);
}
