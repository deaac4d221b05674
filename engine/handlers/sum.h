/* Adds up a field over the records of a key: integers as 64-bit integers, others as doubles.
 * @thread worker */
#ifndef HANDLERS_SUM_H
#define HANDLERS_SUM_H

#include "pipeline/builtin.h"

extern const struct builtin sum_builtin;

#endif
