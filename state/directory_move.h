/* Moving the place where a stopped node goes on: the low positions of some partitions, with all
 * that says what was applied there, in one synced write. @thread control */
#ifndef STATE_DIRECTORY_MOVE_H
#define STATE_DIRECTORY_MOVE_H

#include "state/directory.h"

struct directory_move {
    struct directory_partition *partition;
    strid_position low; /* the first position that is handled, whatever was applied before */
};

/* Behind directory_begin_run() of a run without agents, so that all progress stands in the tables.
 * Of each partition the table goes, so that every position from the new one on is handled.
 * `forget`: the fingerprints go, too, and what is there now counts as what was read. `block` (of no
 * bytes: none) was ended but not numbered, and becomes part of the same write. State, waiting
 * records and dead letters to be sent stay as they are. After an error the directory can only be
 * closed; then all or nothing of it was written. */
strid_status directory_move(struct directory *directory, const struct directory_move *moves,
                            uint32_t count, bool forget, struct buffer *block, strid_error *err);

#endif
