/* What of the state of a source without order goes with a reset: positions that are known as
 * applied until the source has taken their acknowledgement would not be handled again.
 * @thread the caller's */
#ifndef API_RESET_BLOCK_H
#define API_RESET_BLOCK_H

#include "state/directory_move.h"

/* A block, ended and not numbered, that takes from the state all positions applied at the new
 * places and behind them; of no bytes where there are none. `block` is empty; the caller frees it.
 */
strid_status reset_block_make(const struct directory *directory, const struct directory_move *moves,
                              uint32_t count, struct buffer *block, strid_error *err);

#endif
