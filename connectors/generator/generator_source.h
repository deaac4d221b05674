/* Records made up from a seed: the same ones at the same positions, always. */
#ifndef GENERATOR_SOURCE_H
#define GENERATOR_SOURCE_H

#include <strid/source.h>

extern const strid_source_ops generator_source_ops;

#endif
