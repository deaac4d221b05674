/* Counts the records of a key. @thread worker */
#ifndef HANDLERS_COUNT_H
#define HANDLERS_COUNT_H

#include "pipeline/builtin.h"

extern const struct builtin count_builtin;

#endif
