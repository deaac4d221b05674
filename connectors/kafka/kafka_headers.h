/* Whether a message has headers, found out without librdkafka: up to 2.14.2 at least it makes and
 * frees a buffer of its own for each message that is asked, also for one without any: with 2.0.2
 * some 1,200 instructions, a quarter of all that a small record takes (docs/benchmarks.md).
 *
 * A record of Kafka's format 2 has the number of its headers right behind its value, as a varint,
 * and librdkafka hands out the value where it was received or unpacked. So the byte behind the
 * value is 0 exactly where there are none. In the older formats that byte belongs to something
 * else, but these have no headers: wherever it is 0 there are none.
 * @thread any @locks none */
#ifndef KAFKA_HEADERS_H
#define KAFKA_HEADERS_H

#include <stdbool.h>

#include <librdkafka/rdkafka.h>

/* True: there are none. False: librdkafka has to be asked. The message is one that was fetched. */
bool kafka_headers_absent(const rd_kafka_message_t *message);

#endif
