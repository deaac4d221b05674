/* The invariants that are looked at from outside: after each step, after each recovery, at the end.
 * One thread. */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "sim_world.h"

/* After every step of a run; `moved`: there was work in it, so that something may have changed its
 * owner. */
void sim_check_step(struct sim_world *world, bool moved);
/* A run was opened: what it found is what progress says, and nothing durable is missing. */
void sim_check_recovered(struct sim_world *world, bool complete);
/* No run is on: what a tool that only reads finds, blocks included, is what progress says. */
void sim_check_stopped(struct sim_world *world);
/* A run said that it has finished: every chunk is back, everything is told. */
void sim_check_finished(struct sim_world *world);
/* At the end: the source knows the low position of each partition. */
void sim_check_acknowledged(struct sim_world *world);

#endif
