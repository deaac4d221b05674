/* Where to begin and end reading, as kcat's -o says it: beginning, end, stored, a position, -N (the
 * last N), s@MS (from that time on), e@MS (up to that time, which it does not include). @thread any
 */
#ifndef RANGE_H
#define RANGE_H

#include <strid/error.h>
#include <strid/record.h>

typedef enum range_start {
    RANGE_START_BEGINNING = 0,
    RANGE_START_END,
    RANGE_START_STORED,   /* where the group stands */
    RANGE_START_POSITION, /* `position`, itself included */
    RANGE_START_LAST,     /* the last `count` records of each partition */
    RANGE_START_TIME      /* `start_ms` */
} range_start;

#define RANGE_WITHOUT_END INT64_MAX

struct range {
    range_start start;
    strid_position position;
    uint64_t count;
    int64_t start_ms;
    int64_t end_ms; /* RANGE_WITHOUT_END: to where the source ends, or on and on */
};

/* From the beginning and without an end. */
void range_init(struct range *range);

/* Applies one -o; a later one replaces the start, or the end, of an earlier one. `pair`: positions
 * are HIGH-LOW and HIGH alone means HIGH-0. On failure nothing is changed. */
STRID_NODISCARD strid_status range_parse(struct range *range, const char *text, bool pair,
                                         strid_error *err);

/* false: it is none. HIGH alone means HIGH-0 where positions are pairs. */
bool range_parse_position(const char *text, bool pair, strid_position *position);

#endif
