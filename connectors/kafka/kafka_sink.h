/* Writes outputs and dead letters to Kafka topics. */
#ifndef KAFKA_SINK_H
#define KAFKA_SINK_H

#include <strid/sink.h>

/* Stands for the topic of a letter in the name of its queue. */
#define KAFKA_SINK_TOPIC "{topic}"

/* The queue of the letters of `topic`; the caller frees it. A pattern without "{topic}" is one. */
char *kafka_sink_topic_for(const char *pattern, strid_bytes topic);
/* Whether `topic` is what `pattern`, which may hold "{topic}" once, stands for. `topics`: those
 * that are meant by that, as a source names its topics; NULL: any. */
bool kafka_sink_topic_matches(const char *pattern, const char *topics, const char *topic);

extern const strid_sink_ops kafka_sink_ops;

#endif
