/* A node is lost with its directory, of a source without order or one that is shared: another one
 * begins with an empty directory, and gets everything that was not acknowledged. One thread. */
#ifndef SIM_LOSS_H
#define SIM_LOSS_H

struct sim_world;

/* Between two runs. */
void sim_loss_strike(struct sim_world *world);

#endif
