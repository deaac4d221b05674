/* Headers that tell where a record comes from: those that Strid writes, and for reading also those
 * of Kafka Connect, Spring and Kafka Streams. @thread the owner @locks none */
#ifndef KAFKA_LETTER_H
#define KAFKA_LETTER_H

#include <librdkafka/rdkafka.h>
#include <strid/sink.h>

#include "base/buffer.h"

/* The headers of a message for `output`: its own, then the id of an ordinary output or the
 * provenance of a dead letter. Never NULL; rd_kafka_producev takes them where it succeeds. */
rd_kafka_headers_t *kafka_letter_headers(const strid_output *output);

/* Memory that is used again for each message. Zero is empty. */
struct kafka_letter {
    struct buffer text;
    strid_header *headers;
    uint32_t header_capacity;
    strid_dead_letter letter;
    strid_output output;
    const char *foreign; /* how the headers of another program begin; NULL: Strid wrote it */
};

void kafka_letter_fini(struct kafka_letter *letter);

/* The provenance and the other headers alone, as views into `headers`; the id where Strid wrote it.
 */
bool kafka_letter_read(struct kafka_letter *letter, const rd_kafka_headers_t *headers,
                       int64_t timestamp_ms);

/* Fills letter->output with views into the message; it lives until the next call or until the
 * message is destroyed. False: no header says that it is a dead letter. */
bool kafka_letter_parse(struct kafka_letter *letter, const rd_kafka_message_t *message);

/* The headers that the record had, and STRID_HEADER_REPLAYS, raised by one: for handing it back.
 * rd_kafka_producev takes them where it succeeds. */
rd_kafka_headers_t *kafka_letter_original(const struct kafka_letter *letter);

#endif
