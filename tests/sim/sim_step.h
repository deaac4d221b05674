/* One step: one do_work of one agent. Agents may also step while another one waits in a call of the
 * store or of a connector, or in a handler, as threads would; never the one that waits. One thread.
 */
#ifndef SIM_STEP_H
#define SIM_STEP_H

#include "sim_world.h"

/* The agents of the run that was opened; and when it is about to be closed. */
void sim_step_begin(struct sim_world *world);
void sim_step_end(struct sim_world *world);

/* Pumps one agent, moves the clock, checks what can be checked after every step. Returns the work.
 */
int sim_step(struct sim_world *world);

/* The clock moves on. */
void sim_step_pass(int64_t ns);

/* Called where an agent waits: others may take some steps. */
void sim_step_yield(void);

#endif
