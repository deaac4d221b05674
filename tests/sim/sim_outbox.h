/* The letters that a directory holds against the model: those of records that progress covers,
 * whole, counted, and kept until they have arrived. */
#ifndef SIM_OUTBOX_H
#define SIM_OUTBOX_H

#include <stdint.h>

struct sim_world;

/* Looks through the live disk, on which no block is left; marks the records whose letters wait
 * there. Returns how many letters there are. */
uint32_t sim_outbox_look(struct sim_world *world);

#endif
