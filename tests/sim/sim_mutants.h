/* The negative control: each mutant of base/mutant.h is switched on in a process of its own and has
 * to be caught. */
#ifndef SIM_MUTANTS_H
#define SIM_MUTANTS_H

#include <stdbool.h>
#include <stdint.h>

/* `run` runs so many seeds with the mutant; it does not return if it is caught. False: one was not
 * caught. */
bool sim_mutants_catch(bool (*run)(int mutant, uint64_t seeds), uint64_t seeds);

#endif
