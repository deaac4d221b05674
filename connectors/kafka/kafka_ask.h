/* What brokers know of many partitions, asked of all of them at once: one request for each broker,
 * however many partitions there are. @thread any, may block for some seconds @locks none */
#ifndef KAFKA_ASK_H
#define KAFKA_ASK_H

#include "kafka_partition.h"

enum kafka_question {
    KAFKA_ASK_FIRST = 0, /* the first offset that is there */
    KAFKA_ASK_END,       /* behind the last one that may be read */
    KAFKA_ASK_TIME,      /* the first of `timestamp_ms` or later; -1: all are older */
    KAFKA_ASK_COMMITTED  /* what the client's group was told; -1: nothing */
};

/* `out` has an answer for each of `partitions`. STRID_EUNREACHABLE: one was not answered; which,
 * and what to do. */
strid_status kafka_ask(rd_kafka_t *client, const char *brokers,
                       struct kafka_partition *const *partitions, uint32_t count,
                       enum kafka_question question, int64_t timestamp_ms, int64_t *out,
                       strid_error *err);

#endif
