/* The store contract on the simulated disk, with failures whose outcome is unknown. One thread. */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "state/store.h"

extern const struct store_ops sim_store;

#endif
