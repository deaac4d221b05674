/* Prints what a stopped run left, for the checker: one JSON object a line.
 *   {"blocks":N,"materialised":N}   numbers of the last block, and of the last that left the redo
 *   {"partition":"<identity>","low":N}
 *   {"store":"chains","key":"...","hex":"..."}   {"store":"counts","key":"...","value":N}
 *   {"store":"<extra>","key":"...","value":N}    one for each subkey; -2: not as it was written
 * and what ledger_waiting.h prints.
 * @thread one */
#ifndef FAULTS_LEDGER_DUMP_H
#define FAULTS_LEDGER_DUMP_H

#include <stdbool.h>

#include "faults/ledger_extra.h"

/* Returns 0, or 1 with a message on stderr. A state directory that does not exist prints nothing.
 * `progress_only`: only the partitions. */
int ledger_dump(const char *state_url, bool progress_only, const struct ledger_extra *extra);

#endif
