/* Puts a directory that the power-loss shim watched into the state that a power loss would have
 * left, and removes the shim's journal. The watched processes have to be gone. @thread any */
#ifndef POWERLOSS_IMAGE_H
#define POWERLOSS_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

/* seed 0: nothing survives but what was synced. Otherwise, chosen by it: a part of what was
 * appended to a file since, overwritten bytes, and changed names of directories.
 * False: not possible, said on stderr. */
bool powerloss_image_restore(const char *directory, uint64_t seed);

#endif
