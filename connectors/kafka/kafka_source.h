/* Reads Kafka topics, each partition from where the state directory says. */
#ifndef KAFKA_SOURCE_H
#define KAFKA_SOURCE_H

#include <strid/source.h>

extern const strid_source_ops kafka_source_ops;

#endif
