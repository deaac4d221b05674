/* How producers add entries to a stream: pipelined, each answered for by itself. */
#ifndef REDIS_PRODUCE_H
#define REDIS_PRODUCE_H

#include <strid/sink.h>

extern const strid_produce_ops redis_produce_ops;

#endif
