/* Which dead letters were handed back. A mark is an entry of an engine's store under the id of the
 * letter up to its number ("pipeline/topic/partition/position/dlq"): how often the record was
 * handed back. When it fails again, its next letter has that number; so the letter with number n
 * was handed back iff its mark is above n. @thread the caller's */
#ifndef API_DLQ_MARKS_H
#define API_DLQ_MARKS_H

#include <stdbool.h>
#include <stdint.h>

#include <strid/inspect.h>

#include "api/pipeline.h"

enum { DLQ_MARKS_STORE = 0x74 };

struct dlq_marks;

/* Of a stopped node. NULL: there is no state, or a running node has it, which is logged. */
struct dlq_marks *dlq_marks_open(const strid_pipeline *pipeline);
void dlq_marks_close(struct dlq_marks *marks); /* NULL is fine */
bool dlq_marks_has(struct dlq_marks *marks, strid_bytes id);
/* `fn` with the letter and whether it was handed back, as far as `marks`, which may be NULL, or the
 * queue itself know. */
bool dlq_marks_show(struct dlq_marks *marks, const strid_output *letter, strid_dead_letter_fn fn,
                    void *user);
/* How often the record was handed back whose letters have ids that begin so; 0: never. */
int64_t dlq_marks_get(strid_state_reader *reader, strid_bytes base);

/* Takes an id apart. false: it is none of ours. */
bool dlq_marks_split(strid_bytes id, strid_bytes *base, uint32_t *number);

#endif
