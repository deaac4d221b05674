/* Sends records on to a sink, as they are. @thread worker */
#ifndef HANDLERS_FORWARD_H
#define HANDLERS_FORWARD_H

#include "pipeline/builtin.h"

extern const struct builtin forward_builtin;

#endif
