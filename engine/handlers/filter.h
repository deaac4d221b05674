/* Skips records whose field does not fulfil all of its conditions. @thread worker */
#ifndef HANDLERS_FILTER_H
#define HANDLERS_FILTER_H

#include "pipeline/builtin.h"

extern const struct builtin filter_builtin;

#endif
