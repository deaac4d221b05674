/* Whether what is written to a queue of dead letters is read by the source that they come from.
 * @thread any @locks none */
#ifndef KAFKA_CIRCLE_H
#define KAFKA_CIRCLE_H

#include "kafka_topics.h"

/* Targets are those of URLs of kafka:, of a source and of its queue; on the same brokers only where
 * both name them in the same words. `topics` are those that the source has found, NULL: none yet;
 * with them more is seen of a queue that has {topic} in its name. */
bool kafka_circle_closes(const char *source, const char *queue, const struct kafka_topics *topics);

#endif
