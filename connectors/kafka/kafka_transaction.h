/* Transactions in which tools change a dead-letter queue: what they write and the marks that say so
 * are there together or not at all. One at a time for each topic of letters: another one that takes
 * it over ends this one. @thread the caller's @locks none */
#ifndef KAFKA_TRANSACTION_H
#define KAFKA_TRANSACTION_H

#include <strid/sink.h>

#include "kafka_marks.h"

struct kafka_transaction {
    const char *done; /* "handed back": for the words of errors */
    char *topic;      /* of the letters whose marks are written */
    rd_kafka_t *producer;
    uint64_t open;    /* letters of the open transaction; 0: there is none */
    int64_t begun_ns; /* when it was opened */
};

/* The producer, which was let in by the brokers. Close it in any case. Transactions over the same
 * topic that others left open, or were about to commit, have ended behind this. */
strid_status kafka_transaction_open(struct kafka_transaction *transaction,
                                    const strid_connector_args *queue, const char *topic,
                                    const char *done, strid_error *err);
/* What is not committed was never there. */
void kafka_transaction_close(struct kafka_transaction *transaction);

/* Begins one where none is open, and counts a letter. */
strid_status kafka_transaction_enter(struct kafka_transaction *transaction, strid_error *err);

struct kafka_transaction_message {
    const char *topic;
    int32_t partition;
    strid_bytes key, value;
    int64_t timestamp_ms;        /* 0: now */
    rd_kafka_headers_t *headers; /* taken in any case */
};

/* Takes copies. */
strid_status kafka_transaction_put(struct kafka_transaction *transaction,
                                   const struct kafka_transaction_message *message,
                                   strid_error *err);
/* The mark of a letter, behind it in the partition where `stands_in` lies. */
strid_status kafka_transaction_mark(struct kafka_transaction *transaction,
                                    const rd_kafka_message_t *stands_in, enum kafka_mark_kind kind,
                                    strid_bytes id, strid_error *err);

/* Whether the open one is long enough. */
bool kafka_transaction_is_due(const struct kafka_transaction *transaction);
/* *letters: how many of them are now for good. */
strid_status kafka_transaction_commit(struct kafka_transaction *transaction, uint64_t *letters,
                                      strid_error *err);

#endif
