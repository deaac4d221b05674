/* The first part of run_create(): opens the state, meets the source's partitions with what the
 * state knows of them, recovers. Part of run.c. @thread control */
#ifndef RUNTIME_RUN_OPEN_H
#define RUNTIME_RUN_OPEN_H

#include "runtime/run.h"

void run_set_defaults(struct run *run);
strid_status run_open(struct run *run, strid_error *err);

#endif
