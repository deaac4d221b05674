/* What the simulated handlers say about a record: at once, too late, later through a completion, or
 * so that the host takes it over. Worked out beforehand for each try. One thread. */
#ifndef SIM_OUTCOME_H
#define SIM_OUTCOME_H

#include <strid/handler.h>

#include "sim_input.h"

/* The record, whose bytes and place are as the source gave them. */
struct sim_record *sim_outcome_record(const strid_record *record, struct sim_payload *payload);

/* What this try is to give; `tries` says how often it was tried before. */
strid_outcome sim_outcome_of(const struct sim_record *record, uint32_t tries);

/* What one of the two handlers says; `has` the outcome is one of them, the other one is done. */
strid_outcome sim_outcome_say(strid_context *ctx, struct sim_record *record, uint32_t partition,
                              bool has);

/* The retry hook. */
bool sim_outcome_take_over(void *user, const strid_record *record, uint32_t attempt,
                           const char *reason);

/* Whether a dead letter may say that. */
bool sim_outcome_is_reason(const struct sim_record *record, strid_bytes reason);

#endif
