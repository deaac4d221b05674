/* Looking at streams and groups, for tools. */
#ifndef REDIS_INSPECT_H
#define REDIS_INSPECT_H

#include <strid/source.h>

extern const strid_inspect_ops redis_inspect_ops;

#endif
