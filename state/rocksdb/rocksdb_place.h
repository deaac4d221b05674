/* The directory that a database is in, or is to be made in. @thread control */
#ifndef ROCKSDB_PLACE_H
#define ROCKSDB_PLACE_H

#include <stdbool.h>

#include "state/store.h"

/* Makes the directory where it is missing and may be made; *made: this call made it.
 * STRID_ENOTFOUND: there is no database and none may be made; STRID_ECORRUPT: there was one, and a
 * part of it is missing; STRID_ESTATE: somebody else keeps files there. */
strid_status rocksdb_place_prepare(const struct store_config *config, bool *made, strid_error *err);

/* Undoes the making of the directory, as far as nobody has made a database of it: another process
 * may have come before us. Only while it is claimed, with nothing open: it takes DIR/LOCK. */
void rocksdb_place_undo(const char *path);

#endif
