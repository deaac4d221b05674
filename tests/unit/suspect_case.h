/* Runs on one thread whose crash slots lie in memory that outlives them: a test writes into it what
 * a crash would have left. Records 0 to n - 1, each with a key of its own. */
#ifndef UNIT_SUSPECT_CASE_H
#define UNIT_SUSPECT_CASE_H

#include "runtime/crash_slots.h"
#include "runtime_case.h"

enum { SUSPECT_CASE_RECORDS = 90, SUSPECT_CASE_WORKERS = 3, SUSPECT_CASE_PAUSE_MS = 60000 };

struct suspect_case {
    struct runtime_case at;
    struct crash_slots_file file;
    uint32_t calls[SUSPECT_CASE_RECORDS];
    uint32_t owners[SUSPECT_CASE_RECORDS]; /* index of the worker that handled it last */
    int64_t alone_at; /* position that was alone when it was last handled; -1: none */
    int64_t fails_at; /* position whose first attempt fails; -1: none */
    strid_outcome outcome;
};

void suspect_case_init(struct suspect_case *suspects, uint32_t records);
/* The end of the input is the caller's. */
void suspect_case_init_open(struct suspect_case *suspects, uint32_t records);

/* Of the run that is on: the record was in hand `crashes` times, alone. */
void suspect_case_accuse(struct suspect_case *suspects, uint32_t index, uint64_t position,
                         uint32_t crashes);
/* Makes a run whose crash slots say so. */
void suspect_case_start(struct suspect_case *suspects, uint64_t position, uint32_t crashes);

/* NULL: it is no suspect. */
const struct crash_suspect *suspect_case_entry(const struct suspect_case *suspects,
                                               uint64_t position);
/* Each record was handled once; `except` not at all, -1: none. */
void suspect_case_check_once(const struct suspect_case *suspects, int64_t except);

#endif
