/* A partition as the source reads it. */
#ifndef KAFKA_PARTITION_H
#define KAFKA_PARTITION_H

#include <stdatomic.h>

#include <strid/source.h>

#include "kafka_topics.h"

struct kafka_partition {
    const struct kafka_topic *topic;
    int32_t number; /* within the topic */
    char *identity;
    uint32_t index; /* within the source */
    bool started;   /* librdkafka fetches it; @thread control, in a group kafka_member's lock */
    /* @locks the lane's */
    bool owned;       /* this node reads it; static assignment: always */
    bool told;        /* the engine knows where reading begins */
    bool ended;       /* its last record was delivered */
    uint64_t from;    /* in a group: what lies before it is durable, or others' since it is owned */
    uint64_t next;    /* the offset that is expected; later ones are in order, earlier ones stale */
    uint64_t end;     /* without `follow`: reading ends there */
    uint64_t stale;   /* records that came again, and were dropped */
    strid_error stop; /* not STRID_OK: it gives no more, and why */
    uint8_t fingerprint[STRID_FINGERPRINT_MAX];
    size_t fingerprint_len;
    _Atomic int64_t low; /* what the group is to be told; -1: nothing yet. release by the engine's
                            committer, acquire by the control thread: no other data hangs on it */
    int64_t committed;   /* what it was told; @thread the control thread */
    bool tells;          /* the group may be told; the same */
};

#endif
