/* Which letters of a dead-letter queue were handed back. A mark is a message in the same queue, in
 * the letter's partition, so that it outlives the letter: its last header is the letter's id.
 * Kept as hashes of 128 bits. @thread the owner @locks none */
#ifndef KAFKA_MARKS_H
#define KAFKA_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>
#include <strid/bytes.h>
#include <strid/error.h>

/* Zero is empty. */
struct kafka_marks {
    uint64_t *slots; /* two words each; both 0: free */
    size_t slot_count, count;
};

void kafka_marks_fini(struct kafka_marks *marks);

/* *is_mark: the message is one, and is known from now on. STRID_ELIMIT: too many are. */
strid_status kafka_marks_take(struct kafka_marks *marks, const rd_kafka_message_t *message,
                              bool *is_mark, strid_error *err);
bool kafka_marks_has(const struct kafka_marks *marks, strid_bytes id);

/* The headers of the mark of a letter; rd_kafka_producev takes them where it succeeds. */
rd_kafka_headers_t *kafka_marks_headers(strid_bytes id);

#endif
