#include "kafka_session.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"

#include "kafka_end.h"

#include <inttypes.h>
#include <stdio.h>

#define COMPONENT "kafka"

enum { CLUSTER_MS = 10000, IDENTITY_MAX = 512 };

static strid_status name_partitions(struct kafka_session *session, const char *brokers,
                                    strid_error *err)
{
    char *cluster = rd_kafka_clusterid(session->client, CLUSTER_MS);
    if (cluster == NULL)
        return error_set(err, STRID_EUNREACHABLE, COMPONENT,
                         "the brokers %s do not say the id of their cluster; Kafka 0.10.1 or later "
                         "is needed",
                         brokers);
    for (uint32_t t = 0; t < session->topics.count; t++) {
        const struct kafka_topic *topic = &session->topics.items[t];
        for (uint32_t p = 0; p < topic->partitions; p++) {
            char identity[IDENTITY_MAX];
            (void)snprintf(identity, sizeof identity, "kafka:%s/%s/%" PRIu32, cluster, topic->name,
                           p);
            struct kafka_partition *partition = &session->partitions[topic->first + p];
            *partition = (struct kafka_partition){.topic = topic,
                                                  .number = (int32_t)p,
                                                  .identity = memory_copy_text(identity),
                                                  .index = topic->first + p,
                                                  .committed = -1};
            atomic_init(&partition->low, -1);
        }
    }
    rd_kafka_mem_free(session->client, cluster);
    return STRID_OK;
}

static void release(void *self)
{
    struct kafka_session *session = self;
    if (session->member != NULL) {
        rd_kafka_set_log_level(session->member, -1);    /* whatever becomes of it */
        (void)rd_kafka_consumer_close(session->member); /* leaves the group */
        kafka_client_destroy(session->member);
    }
    for (uint32_t p = 0; session->partitions != NULL && p < session->topics.partitions; p++) {
        kafka_session_stop(session, &session->partitions[p]);
        memory_free(session->partitions[p].identity);
    }
    for (uint32_t l = 0; session->lanes != NULL && l < session->lane_count; l++)
        kafka_lane_fini(&session->lanes[l]);
    kafka_topics_fini(&session->topics);
    kafka_client_destroy(session->client);
    memory_free(session->partitions);
    memory_free(session->lanes);
    memory_free(session);
}

/* A topic that was just made has no leader for a while. */
static strid_status resolve(struct kafka_session *session, const struct kafka_target *target,
                            strid_error *err)
{
    strid_error why = STRID_ERROR_INIT;
    strid_status status;
    int tries = 0;
    do
        status = kafka_topics_resolve(session->client, target->brokers, target->topic,
                                      KAFKA_TOPICS_TO_HANDLE, &session->topics, &why);
    while (status == STRID_ENOTFOUND && why.native_code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE &&
           kafka_client_try_again(RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, &tries));
    if (status != STRID_OK && err != NULL)
        *err = why;
    return status;
}

strid_status kafka_session_open(rd_kafka_conf_t *conf, const struct kafka_target *target,
                                uint32_t lanes, const struct log *log, struct kafka_session **out,
                                strid_error *err)
{
    struct kafka_session *session = memory_alloc_zeroed(sizeof *session);
    strid_status status = kafka_client_create(RD_KAFKA_CONSUMER, conf, log, &session->client, err);
    if (status != STRID_OK) {
        memory_free(session);
        return status;
    }
    status = resolve(session, target, err);
    if (status == STRID_OK)
        status = kafka_topics_open(session->client, target->brokers, &session->topics, err);
    if (status == STRID_OK) {
        session->partitions =
            memory_alloc_zeroed((session->topics.partitions + 1) * sizeof *session->partitions);
        session->lane_count = lanes;
        session->lanes = memory_alloc_zeroed(lanes * sizeof *session->lanes);
        for (uint32_t l = 0; l < lanes; l++)
            kafka_lane_init(&session->lanes[l], session->client);
        status = name_partitions(session, target->brokers, err);
    }
    if (status != STRID_OK)
        kafka_session_close(session, log);
    else
        *out = session;
    return status;
}

void kafka_session_close(struct kafka_session *session, const struct log *log)
{
    kafka_end(release, session, session->client, log);
}

strid_status kafka_session_start(struct kafka_session *session, struct kafka_partition *partition,
                                 strid_error *err)
{
    struct kafka_lane *lane = kafka_session_lane(session, partition->index);
    STRID_ASSERT(!partition->started);
    int failed = rd_kafka_consume_start_queue(partition->topic->handle, partition->number,
                                              (int64_t)partition->next, lane->queue);
    if (failed != 0)
        return error_set(err, STRID_EIO, COMPONENT, "%s [%" PRId32 "] cannot be read: %s",
                         partition->topic->name, partition->number,
                         rd_kafka_err2str(rd_kafka_last_error()));
    partition->started = true;
    return STRID_OK;
}

void kafka_session_stop(struct kafka_session *session, struct kafka_partition *partition)
{
    struct kafka_lane *lane = kafka_session_lane(session, partition->index);
    if (!partition->started)
        return;
    partition->started = false;
    (void)rd_kafka_consume_stop(partition->topic->handle, partition->number);
    pthread_mutex_lock(&lane->lock);
    kafka_stage_forget(&lane->stage, partition->topic->handle, partition->number);
    pthread_mutex_unlock(&lane->lock);
}

bool kafka_session_is_done(struct kafka_session *session, struct kafka_partition *partition)
{
    struct kafka_lane *lane = kafka_session_lane(session, partition->index);
    pthread_mutex_lock(&lane->lock);
    bool any = partition->next > partition->from;
    uint64_t next = partition->next;
    pthread_mutex_unlock(&lane->lock);
    int64_t low = atomic_load_explicit(&partition->low, memory_order_acquire);
    return !any || (low >= 0 && (uint64_t)low >= next);
}

struct kafka_partition *kafka_session_owner(struct kafka_session *session,
                                            const rd_kafka_message_t *message)
{
    for (uint32_t t = 0; t < session->topics.count; t++) {
        const struct kafka_topic *topic = &session->topics.items[t];
        if (topic->handle == message->rkt && message->partition >= 0 &&
            (uint32_t)message->partition < topic->partitions)
            return &session->partitions[topic->first + (uint32_t)message->partition];
    }
    return NULL;
}
