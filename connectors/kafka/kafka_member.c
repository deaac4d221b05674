#include "kafka_member.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#include "kafka_others.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#define COMPONENT "kafka"

static const int64_t again_ns = 1000000000, quiet_ns = 3000000000;

/* Partitions of the session, some of them. */
struct some {
    struct kafka_partition **items;
    uint32_t count;
};

enum stage { OUTSIDE = 0, COMING, INSIDE }; /* has to wait until it may join */

struct known {
    strid_resume resume;
    uint8_t fingerprint[STRID_FINGERPRINT_MAX];
    bool reached; /* it was delivered in this run: up to partition->next */
};

struct kafka_member {
    struct kafka_session *session;
    struct kafka_place place;
    rd_kafka_queue_t *queue;
    pthread_mutex_t lock; /* guards the following, and which partitions are started and owned */
    struct known *known;  /* of each partition */
    uint32_t runs;        /* assigned so often */
    enum stage stage;
    strid_error failure; /* the first */
    _Atomic bool failed; /* release behind `failure` */
    /* @thread the source's */
    struct kafka_others others;
    struct some taking, giving;
    int64_t take_at_ns;
    int64_t give_until_ns;
    bool gives; /* the group waits for an answer */
    int64_t quiet_until_ns;
};

static int64_t now_ns(void) { return clock_monotonic_ns(&clock_system); }
static const struct log *log_of(const struct kafka_member *member) { return member->place.log; }
static const char *group_of(const struct kafka_member *member)
{
    return member->place.options->group;
}

strid_status kafka_member_create(struct kafka_session *session, const struct kafka_place *place,
                                 const char *client, struct kafka_member **out, strid_error *err)
{
    rd_kafka_conf_t *conf = NULL;
    uint32_t count = session->topics.partitions + 1;
    STRID_TRY(kafka_source_config_make_member(place->brokers, client, place->options,
                                              place->prefetch, &conf, err));
    STRID_TRY(kafka_client_create(RD_KAFKA_CONSUMER, conf, place->log, &session->member, err));
    (void)rd_kafka_poll_set_consumer(session->member);
    struct kafka_member *member = memory_alloc_zeroed(sizeof *member);
    member->session = session;
    member->place = *place;
    member->place.takes_fingerprints = false; /* while the engine may ask for them */
    member->queue = rd_kafka_queue_get_consumer(session->member);
    member->known = memory_alloc_zeroed(count * sizeof *member->known);
    member->taking.items = memory_alloc_zeroed(count * sizeof(struct kafka_partition *));
    member->giving.items = memory_alloc_zeroed(count * sizeof(struct kafka_partition *));
    pthread_mutex_init(&member->lock, NULL);
    *out = member;
    return STRID_OK;
}

void kafka_member_destroy(struct kafka_member *member)
{
    if (member == NULL)
        return;
    rd_kafka_queue_destroy(member->queue);
    pthread_mutex_destroy(&member->lock);
    memory_free(member->known);
    memory_free(member->taking.items);
    memory_free(member->giving.items);
    memory_free(member);
}

rd_kafka_queue_t *kafka_member_queue(struct kafka_member *member) { return member->queue; }
bool kafka_member_gives(const struct kafka_member *member) { return member->gives; }

bool kafka_member_may_tell(const struct kafka_member *member)
{
    return now_ns() >= member->quiet_until_ns;
}

void kafka_member_fail(struct kafka_member *member, const strid_error *error)
{
    pthread_mutex_lock(&member->lock);
    if (member->failure.status == STRID_OK) {
        member->failure = *error;
        atomic_store_explicit(&member->failed, true, memory_order_release);
    }
    pthread_mutex_unlock(&member->lock);
}

strid_status kafka_member_failure(struct kafka_member *member, strid_error *err)
{
    /* acquire: pairs with the release in kafka_member_fail, `failure` does not change any more */
    if (!atomic_load_explicit(&member->failed, memory_order_acquire))
        return STRID_OK;
    *err = member->failure;
    return err->status;
}

/* `from`: what lies before it is durable, or is for others to do. @locks needs the member's */
static void own(struct kafka_member *member, struct kafka_partition *partition, uint64_t from)
{
    struct kafka_lane *lane = kafka_session_lane(member->session, partition->index);
    strid_error err = STRID_ERROR_INIT;
    kafka_session_stop(member->session, partition);
    pthread_mutex_lock(&lane->lock);
    partition->told = partition->ended = false;
    partition->from = from;
    partition->owned = true;
    pthread_mutex_unlock(&lane->lock);
    if (partition->stop.status == STRID_OK &&
        kafka_session_start(member->session, partition, &err) != STRID_OK) {
        pthread_mutex_lock(&lane->lock);
        partition->stop = err;
        pthread_mutex_unlock(&lane->lock);
    }
}

/* Nothing more of it is delivered. @locks needs the member's */
static void disown(struct kafka_member *member, struct kafka_partition *partition)
{
    struct kafka_lane *lane = kafka_session_lane(member->session, partition->index);
    struct known *known = &member->known[partition->index];
    pthread_mutex_lock(&lane->lock);
    known->reached = known->reached || (partition->owned && partition->told);
    partition->owned = false;
    pthread_mutex_unlock(&lane->lock);
    kafka_session_stop(member->session, partition);
}

/* A place in this run stands above what was known when it began. @locks needs the member's */
static strid_resume resume_of(const struct kafka_member *member,
                              const struct kafka_partition *partition)
{
    const struct known *known = &member->known[partition->index];
    if (!known->reached)
        return known->resume;
    return (strid_resume){.resumed = true, .position = {0, partition->next}};
}

static void keep_known(struct kafka_member *member, const strid_resume *resumes)
{
    for (uint32_t p = 0; p < member->session->topics.partitions; p++) {
        struct kafka_partition *partition = &member->session->partitions[p];
        struct known *known = &member->known[p];
        size_t len = resumes[p].fingerprint.len;
        len = len > STRID_FINGERPRINT_MAX ? 0 : len;
        *known = (struct known){.resume = resumes[p]};
        if (len > 0)
            memcpy(known->fingerprint, resumes[p].fingerprint.data, len);
        known->resume.fingerprint = strid_bytes_of(known->fingerprint, len);
        memcpy(partition->fingerprint, known->fingerprint, len);
        partition->fingerprint_len = len;
        if (!partition->owned)
            continue;
        /* The run before read on from `from`; of that, this much is durable. */
        partition->next = partition->from;
        if (resumes[p].resumed && resumes[p].position.low > partition->next)
            partition->next = resumes[p].position.low;
        own(member, partition, partition->next);
    }
}

/* A pipeline with state reads all partitions or none: what is wrong is said before it joins. */
static strid_status find_all(struct kafka_member *member, const strid_resume *resumes,
                             strid_error *err)
{
    uint32_t count = member->session->topics.partitions;
    struct kafka_partition **all = memory_alloc((count + 1) * sizeof(struct kafka_partition *));
    for (uint32_t p = 0; p < count; p++)
        all[p] = &member->session->partitions[p];
    struct kafka_place place = member->place;
    place.takes_fingerprints = true;
    strid_status status = kafka_place_find(&place, all, resumes, count, err);
    memory_free(all);
    return status;
}

strid_status kafka_member_assign(struct kafka_member *member, const strid_resume *resumes,
                                 strid_error *err)
{
    strid_status status = STRID_OK;
    pthread_mutex_lock(&member->lock);
    keep_known(member, resumes);
    member->runs++;
    if (member->stage == OUTSIDE && member->place.keeps_state)
        status = find_all(member, resumes, err);
    if (member->stage == OUTSIDE && status == STRID_OK)
        member->stage = COMING;
    pthread_mutex_unlock(&member->lock);
    return status;
}

static void join(struct kafka_member *member)
{
    const struct kafka_topics *topics = &member->session->topics;
    strid_error err = STRID_ERROR_INIT;
    if (topics->count == 0)
        return; /* none matches; once there are some the source is opened anew */
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)topics->count);
    for (uint32_t t = 0; t < topics->count; t++)
        (void)rd_kafka_topic_partition_list_add(list, topics->items[t].name, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(member->session->member, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    (void)error_set(&err, STRID_ESTATE, COMPONENT, "group %s cannot be joined: %s",
                    group_of(member), rd_kafka_err2str(code));
    kafka_member_fail(member, &err);
}

/* Whoever keeps state waits until it is alone, as long as a member may be dead without the group
 * knowing it. */
static void come(struct kafka_member *member)
{
    strid_error err = STRID_ERROR_INIT;
    bool alone = true;
    if (member->place.keeps_state &&
        kafka_others_look(&member->others, &member->place, &alone, &err) != STRID_OK)
        kafka_member_fail(member, &err);
    if (!alone || err.status != STRID_OK)
        return;
    pthread_mutex_lock(&member->lock);
    member->stage = INSIDE;
    pthread_mutex_unlock(&member->lock);
    join(member);
}

static struct kafka_partition *partition_of(const struct kafka_member *member,
                                            const rd_kafka_topic_partition_t *named)
{
    const struct kafka_topics *topics = &member->session->topics;
    for (uint32_t t = 0; t < topics->count; t++) {
        const struct kafka_topic *topic = &topics->items[t];
        if (strcmp(topic->name, named->topic) == 0)
            return named->partition >= 0 && (uint32_t)named->partition < topic->partitions
                       ? &member->session->partitions[topic->first + (uint32_t)named->partition]
                       : NULL;
    }
    return NULL;
}

static void leave_out(struct some *some, const struct kafka_partition *partition)
{
    for (uint32_t i = 0; i < some->count; i++)
        if (some->items[i] == partition)
            some->items[i--] = some->items[--some->count];
}

/* Adds the partitions of the list that the session knows. */
static void add_all(const struct kafka_member *member, const rd_kafka_topic_partition_list_t *list,
                    struct some *out, bool *grown)
{
    for (int i = 0; i < list->cnt; i++) {
        struct kafka_partition *found = partition_of(member, &list->elems[i]);
        *grown = *grown || found == NULL;
        if (found == NULL)
            continue;
        leave_out(out, found);
        out->items[out->count++] = found;
    }
}

static bool is_cooperative(const struct kafka_member *member)
{
    return strcmp(rd_kafka_rebalance_protocol(member->session->member), "COOPERATIVE") == 0;
}

/* To librdkafka nothing is assigned: it only has to hear that the change was seen. */
static void answer(struct kafka_member *member, bool takes)
{
    rd_kafka_t *client = member->session->member;
    rd_kafka_error_t *error = NULL;
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!is_cooperative(member))
        code = rd_kafka_assign(client, takes ? none : NULL);
    else
        error = takes ? rd_kafka_incremental_assign(client, none)
                      : rd_kafka_incremental_unassign(client, none);
    rd_kafka_topic_partition_list_destroy(none);
    if (error != NULL || code != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warn(log_of(member), COMPONENT, "group %s: a rebalance was not answered: %s",
                 group_of(member),
                 error != NULL ? rd_kafka_error_string(error) : rd_kafka_err2str(code));
    if (error != NULL)
        rd_kafka_error_destroy(error);
}

static uint32_t owned_count(const struct kafka_member *member)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < member->session->topics.partitions; p++)
        count += member->session->partitions[p].owned ? 1 : 0;
    return count;
}

/* Refused for good: what others read of the topics is missing in this state, and the reverse. */
static void require_all(struct kafka_member *member)
{
    strid_error err = STRID_ERROR_INIT;
    uint32_t given = owned_count(member) + member->taking.count;
    if (!member->place.keeps_state || given >= member->session->topics.partitions)
        return;
    (void)error_set(&err, STRID_ESTATE, COMPONENT,
                    "group %s gives this node %" PRIu32 " of %" PRIu32 " partitions, for it has "
                    "other members; this pipeline keeps state, which does not move with "
                    "partitions: end the others, use `assign: static` where no other node reads "
                    "these topics, or give it a group of its own",
                    group_of(member), given, member->session->topics.partitions);
    kafka_member_fail(member, &err);
}

static void say_owned(const struct kafka_member *member)
{
    log_info(log_of(member), COMPONENT, "group %s: reads %" PRIu32 " of %" PRIu32 " partitions",
             group_of(member), owned_count(member), member->session->topics.partitions);
}

/* Where a run that has nothing of it in its memory would have to begin. What was in hand when the
 * partition went is still in this run's, and done by nobody else unless the group was told. @locks
 * needs the member's */
static uint64_t from_of(const struct kafka_member *member, const struct kafka_partition *partition)
{
    if (!member->known[partition->index].reached)
        return partition->next;
    return partition->committed > (int64_t)partition->from ? (uint64_t)partition->committed
                                                           : partition->from;
}

static void own_taken(struct kafka_member *member)
{
    for (uint32_t i = 0; i < member->taking.count; i++) {
        struct kafka_partition *partition = member->taking.items[i];
        partition->tells = true;
        own(member, partition, from_of(member, partition));
    }
    say_owned(member);
    member->taking.count = 0;
}

/* Brokers may be away just then: asked again until they answer, or the group wants them back. */
static void take(struct kafka_member *member)
{
    strid_error err = STRID_ERROR_INIT;
    uint32_t count = member->taking.count;
    strid_resume *resumes = memory_alloc((count + 1) * sizeof *resumes);
    pthread_mutex_lock(&member->lock);
    uint32_t runs = member->runs;
    for (uint32_t i = 0; i < count; i++)
        resumes[i] = resume_of(member, member->taking.items[i]);
    pthread_mutex_unlock(&member->lock);
    strid_status status =
        kafka_place_find(&member->place, member->taking.items, resumes, count, &err);
    memory_free(resumes);
    if (status == STRID_EUNREACHABLE) {
        log_warn(log_of(member), COMPONENT, "%s; asked again", err.message);
        member->take_at_ns = now_ns() + again_ns;
        return;
    }
    if (status != STRID_OK) {
        member->taking.count = 0;
        kafka_member_fail(member, &err);
        return;
    }
    pthread_mutex_lock(&member->lock);
    if (runs == member->runs) /* else another run has begun, which knows other places */
        own_taken(member);
    pthread_mutex_unlock(&member->lock);
}

/* What the group may not be told of any more, or not yet, is not waited for: whoever reads it next
 * begins where the group is, whatever becomes done here. */
static bool all_given(struct kafka_member *member)
{
    for (uint32_t i = 0; i < member->giving.count; i++) {
        struct kafka_partition *partition = member->giving.items[i];
        int64_t low = atomic_load_explicit(&partition->low, memory_order_acquire);
        if (!partition->tells)
            continue;
        if (!kafka_session_is_done(member->session, partition) || low > partition->committed)
            return false;
    }
    return true;
}

static void end_giving(struct kafka_member *member)
{
    for (uint32_t i = 0; i < member->giving.count; i++)
        member->giving.items[i]->tells = false;
    member->giving.count = 0;
    member->gives = false;
    say_owned(member);
    answer(member, false);
    /* Of a commit that meets the group between two generations librdkafka before 2.10 makes a loss
     * of all partitions. With the eager protocol none is owned just then. */
    if (is_cooperative(member))
        member->quiet_until_ns = now_ns() + quiet_ns;
}

static void give(struct kafka_member *member)
{
    bool given = all_given(member);
    bool lost = rd_kafka_assignment_lost(member->session->member) != 0;
    bool late = now_ns() >= member->give_until_ns;
    if (!given && (lost || late))
        log_warn(log_of(member), COMPONENT,
                 "group %s: %" PRIu32 " partitions %s before all that was read of them was done; "
                 "whoever reads them now handles some records again",
                 group_of(member), member->giving.count,
                 lost ? "were lost" : "go to another node (hand_over)");
    if (given || lost || late)
        end_giving(member);
}

static void begin_giving(struct kafka_member *member, const rd_kafka_topic_partition_list_t *list,
                         bool *grown)
{
    add_all(member, list, &member->giving, grown);
    pthread_mutex_lock(&member->lock);
    for (uint32_t i = 0; i < member->giving.count; i++) {
        leave_out(&member->taking, member->giving.items[i]);
        disown(member, member->giving.items[i]);
    }
    pthread_mutex_unlock(&member->lock);
    member->give_until_ns = now_ns() + member->place.options->hand_over_ms * 1000000;
    member->gives = true;
    give(member);
}

void kafka_member_take_event(struct kafka_member *member, rd_kafka_event_t *event, bool *grown)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        bool any = list->cnt > 0;
        member->quiet_until_ns = 0;
        add_all(member, list, &member->taking, grown);
        answer(member, true);
        require_all(member);
        member->take_at_ns = 0;
        if (!any && owned_count(member) == 0)
            log_info(log_of(member), COMPONENT,
                     "group %s: has more members than partitions, none is for this node",
                     group_of(member));
    } else if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        bool gone = false; /* what the session did not know it never read */
        begin_giving(member, list, &gone);
    } else { /* its state is not known: as librdkafka says, all is given up */
        log_warn(log_of(member), COMPONENT, "group %s: %s", group_of(member),
                 rd_kafka_event_error_string(event));
        answer(member, false);
    }
}

void kafka_member_turn(struct kafka_member *member, bool ending)
{
    pthread_mutex_lock(&member->lock);
    bool comes = member->stage == COMING;
    pthread_mutex_unlock(&member->lock);
    if (atomic_load_explicit(&member->failed, memory_order_relaxed))
        return; /* the run ends; what it has done is still told */
    if (comes && !ending)
        come(member);
    if (member->gives)
        give(member);
    if (!ending && member->taking.count > 0 && now_ns() >= member->take_at_ns)
        take(member);
}
