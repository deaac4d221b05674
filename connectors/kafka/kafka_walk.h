/* The records of a dead-letter queue that lies in topics, gone through for tools: what stood there
 * when the marks were read, what was committed alone. Marks stand behind what they are about, so
 * they are all read before the first record is given. @thread the caller's @locks none */
#ifndef KAFKA_WALK_H
#define KAFKA_WALK_H

#include <strid/sink.h>

#include "kafka_client.h"
#include "kafka_letter.h"
#include "kafka_marks.h"

/* A partition of the queue. */
struct kafka_walk_place {
    char *topic;
    int32_t partition;
    int64_t end;   /* behind the last record that stood there when marks were read last */
    bool is_empty; /* nothing did */
};

/* Partitions, by index of walk->places. */
struct kafka_walk_range {
    uint32_t first, end;
};

/* A record that is no mark. Lives for the call that it is given to. */
struct kafka_walk_record {
    const rd_kafka_message_t *message;
    uint32_t place;                    /* index of walk->places */
    const struct kafka_letter *letter; /* NULL: it is no dead letter; `replayed` is right */
    struct kafka_mark mark;            /* of the letter */
};

/* On failure, and with *more false, the reading ends. */
typedef strid_status (*kafka_walk_fn)(void *user, const struct kafka_walk_record *record,
                                      bool *more, strid_error *err);

struct kafka_walk {
    const strid_connector_args *args;
    struct kafka_target target;
    rd_kafka_t *client;
    struct kafka_walk_place *places;
    uint32_t place_count;
    struct kafka_marks marks;
    struct kafka_letter letter;
};

/* Finds the partitions, those of a topic side by side. Close it in any case. */
strid_status kafka_walk_open(struct kafka_walk *walk, const strid_connector_args *args,
                             strid_error *err);
struct kafka_walk_range kafka_walk_all(const struct kafka_walk *walk);
/* Those of the topic whose first one is given. */
struct kafka_walk_range kafka_walk_topic(const struct kafka_walk *walk, uint32_t first);
/* Adds to the marks that are known. */
strid_status kafka_walk_marks(struct kafka_walk *walk, struct kafka_walk_range range,
                              strid_error *err);
/* Each partition in turn, in the order of its offsets; their marks have been read. */
strid_status kafka_walk_records(struct kafka_walk *walk, struct kafka_walk_range range,
                                kafka_walk_fn fn, void *user, strid_error *err);
void kafka_walk_close(struct kafka_walk *walk);

#endif
