/* The life of a node through one seed: runs, crashes and recoveries, until all is read. */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "sim_world.h"

void sim_node_live(struct sim_world *world);

#endif
