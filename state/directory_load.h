/* Reading all of a state directory's meta keys, progress and blocks. Part of directory.c. @thread
 * control */
#ifndef STATE_DIRECTORY_LOAD_H
#define STATE_DIRECTORY_LOAD_H

#include "state/directory.h"

/* Fills the directory from its store; *fresh: there is nothing in it yet. */
strid_status directory_load(struct directory *directory, bool *fresh, strid_error *err);

void directory_table_raise(struct directory_partition *partition, uint32_t vshard,
                           strid_position position);

#endif
