/* Prints what a stopped run left, for the checker: one JSON object a line.
 *   {"partition":"<identity>","low":N}
 *   {"store":"chains","key":"...","hex":"..."}   {"store":"counts","key":"...","value":N}
 * @thread one */
#ifndef FAULTS_LEDGER_DUMP_H
#define FAULTS_LEDGER_DUMP_H

#include <stdbool.h>

/* Returns 0, or 1 with a message on stderr. A state directory that does not exist prints nothing.
 * `progress_only`: only the partitions. */
int ledger_dump(const char *state_url, bool progress_only);

#endif
