/* How producers write to a topic: each message answered for by itself. */
#ifndef KAFKA_PRODUCE_H
#define KAFKA_PRODUCE_H

#include <strid/sink.h>

extern const strid_produce_ops kafka_produce_ops;

#endif
