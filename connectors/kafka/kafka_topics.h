/* The topics that a source reads: names and regular expressions, resolved to partitions that are
 * numbered through. @thread control, read by any once resolved */
#ifndef KAFKA_TOPICS_H
#define KAFKA_TOPICS_H

#include "kafka_client.h"

struct kafka_topic {
    char *name;
    rd_kafka_topic_t *handle; /* NULL: not open */
    uint32_t first;           /* number of its partition 0 among all */
    uint32_t partitions;
    int32_t *leaders; /* of each partition; -1: none at that time */
    uint32_t missed;  /* times in a row; @thread who looks */
};

/* Missed as often it was deleted; once may be a broker that comes up and does not know all yet. */
enum { KAFKA_TOPICS_GONE = 2 };

struct kafka_topics {
    struct kafka_topic *items; /* by name */
    uint32_t count;
    uint32_t partitions; /* of all topics */
};

/* Of the dead letters of a topic, unless the pipeline names another queue: its name, and this. */
#define KAFKA_DLQ_SUFFIX "-dlq"

/* Whoever handles the records of a pattern's topics is not given the dead letters of these. */
enum kafka_topics_use { KAFKA_TOPICS_TO_HANDLE, KAFKA_TOPICS_TO_SHOW };

/* `wanted` is a list of names and of extended regular expressions, which begin with "^", with
 * commas between; these match no topic that begins with "__". STRID_ENOTFOUND: a topic that is
 * named is not there; STRID_EUNREACHABLE; STRID_ECONFIG: no regular expression. */
strid_status kafka_topics_resolve(rd_kafka_t *client, const char *brokers, const char *wanted,
                                  enum kafka_topics_use for_what, struct kafka_topics *out,
                                  strid_error *err);
/* What of `wanted` is wrong whatever the brokers have. STRID_ECONFIG */
strid_status kafka_topics_check(const char *wanted, strid_error *err);
/* Whether a topic of this name is among those wanted. */
bool kafka_topics_want(const char *wanted, const char *name);
/* Whether an expression among those wanted matches it, and it is not the queue that the dead
 * letters of another one go to by themselves. */
bool kafka_topics_match(const char *wanted, const char *name);
/* Whether it is read: it is named, or matched as above. */
bool kafka_topics_handle(const char *wanted, const char *name);
/* Makes the handles. */
strid_status kafka_topics_open(rd_kafka_t *client, const char *brokers, struct kafka_topics *topics,
                               strid_error *err);
/* The handles are destroyed, too. */
void kafka_topics_fini(struct kafka_topics *topics);

/* Counts in each topic of `topics` how often in a row it was not there: neither among `now`, nor
 * when the brokers are asked for it by name. STRID_EUNREACHABLE: they do not answer. */
strid_status kafka_topics_miss(rd_kafka_t *client, const char *brokers, struct kafka_topics *topics,
                               const struct kafka_topics *now, strid_error *err);

/* Whether `now` has topics or partitions that `topics` has not. */
bool kafka_topics_grown(const struct kafka_topics *topics, const struct kafka_topics *now);

#endif
