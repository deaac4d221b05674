/* Which dead letters a command is about: the filters of `strid dlq`. */
#ifndef DLQ_FILTER_H
#define DLQ_FILTER_H

#include <strid/sink.h>

#include "command.h"

struct dlq_filter {
    const struct command_call *call;
    int64_t since_ms, until_ms; /* of the last failure; the second excluded */
    uint64_t left;              /* how many more */
};

/* False: a value is wrong, and talk.h has said why. `now_ms`: what ages are counted from. */
bool dlq_filter_init(struct dlq_filter *filter, const struct command_call *call, int64_t now_ms);
bool dlq_filter_is_any(const struct command_call *call); /* whether one of them was given */
/* Whether the letter is meant; counts it against --limit where it is. */
bool dlq_filter_take(struct dlq_filter *filter, const strid_output *letter);
bool dlq_filter_is_named(const strid_output *letter, const char *name); /* by id or position */

#endif
