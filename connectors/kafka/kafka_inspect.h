/* Looking at topics and groups, for tools. */
#ifndef KAFKA_INSPECT_H
#define KAFKA_INSPECT_H

#include <strid/source.h>

extern const strid_inspect_ops kafka_inspect_ops;

#endif
