/* The two handlers of the simulated pipeline: a chain per key and partition that depends on the
 * order, and two numbers. They check what they see against the model. */
#ifndef SIM_HANDLER_H
#define SIM_HANDLER_H

#include <strid/handler.h>

strid_outcome sim_handler_chain(strid_context *ctx, const strid_record *record, void *user);
strid_outcome sim_handler_count(strid_context *ctx, const strid_record *record, void *user);

/* What the half store holds beside `done` records: a double, or nothing at each third. */
bool sim_handler_has_half(uint64_t done);

#endif
