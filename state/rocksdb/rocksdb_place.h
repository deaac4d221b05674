/* The directory that a database is in, or is to be made in. @thread control */
#ifndef ROCKSDB_PLACE_H
#define ROCKSDB_PLACE_H

#include <stdbool.h>

#include "state/store.h"

/* Makes the directory where it is missing and may be made; *made: this call made it.
 * STRID_ENOTFOUND: there is no database and none may be made; STRID_ECORRUPT: there was one, and a
 * part of it is missing; STRID_ESTATE: somebody else keeps files there. */
strid_status rocksdb_place_prepare(const struct store_config *config, bool *made, strid_error *err);

#endif
