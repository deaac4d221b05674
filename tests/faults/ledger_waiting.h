/* What waits in a stopped node's state, for the checker: each waiting or parked record and each
 * head of a waiting key. @thread one */
#ifndef FAULTS_LEDGER_WAITING_H
#define FAULTS_LEDGER_WAITING_H

#include <strid/strid.h>

/* Prints a line for each:
 *   {"store":"waiting","key":K,"seq":N,"topic":T,"position":N,"bytes":TEXT}
 *   {"store":"head","key":K,"first":N,"last":N,"attempts":N} */
strid_status ledger_waiting_print(strid_state_reader *reader, strid_error *err);

#endif
