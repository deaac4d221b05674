/* A node's membership in a consumer group that shares out partitions (`assign: group`).
 *
 * The member is a client of its own that fetches nothing: to librdkafka its assignment is always
 * empty. What it is told to read is fetched by the source's simple consumer, started and stopped
 * partition by partition as with static assignment.
 *
 *   told to take  ->  where each begins is found  ->  owned: fetched, delivered
 *   told to give  ->  no longer owned: nothing more is delivered  ->  what was delivered is durable
 *                     and committed, or `hand_over` is over  ->  the group may go on
 *   lost          ->  no longer owned, nothing is committed
 *
 * Where a changelog comes: between the finding of the beginning and the start of the fetching the
 * partition's state is restored; before the group may go on, its last block has to be in the
 * changelog. Until then a pipeline that keeps state is the only member, or ends.
 *
 * @thread the source's control thread, but for create, assign, destroy @thread control */
#ifndef KAFKA_MEMBER_H
#define KAFKA_MEMBER_H

#include "kafka_place.h"
#include "kafka_session.h"

struct kafka_member;

/* Makes session->member, which others see as `client`. What `place` points to, and the session,
 * outlive it. */
strid_status kafka_member_create(struct kafka_session *session, const struct kafka_place *place,
                                 const char *client, struct kafka_member **out, strid_error *err);
void kafka_member_destroy(
    struct kafka_member *member); /* session->member stays, and in the group */

/* What is known here of each partition. A run begins: what is owned is read again from what is
 * durable; joins at the first call. `resumes` is not needed any more when it returns. */
strid_status kafka_member_assign(struct kafka_member *member, const strid_resume *resumes,
                                 strid_error *err);

/* The queue that the thread polls; destroyed with the member. */
rd_kafka_queue_t *kafka_member_queue(struct kafka_member *member);
/* A rebalance. `*grown`: there are partitions that the session does not know. */
void kafka_member_take_event(struct kafka_member *member, rd_kafka_event_t *event, bool *grown);
/* Goes on with what takes its time; `ending`: takes nothing any more. */
void kafka_member_turn(struct kafka_member *member, bool ending);
/* Whether partitions wait to be given back until they are committed: that is urgent. */
bool kafka_member_gives(const struct kafka_member *member);

/* Whether the group may be told of progress now. */
bool kafka_member_may_tell(const struct kafka_member *member);

/* For good: the run is to end with it. */
void kafka_member_fail(struct kafka_member *member, const strid_error *error);
/* STRID_OK: it has not failed. @thread any */
strid_status kafka_member_failure(struct kafka_member *member, strid_error *err);

#endif
