/* What RocksDB's error texts mean here. The C API gives text only, so the text is classified, once,
 * at this boundary; the native text stays in the message. @thread any @locks none */
#ifndef ROCKSDB_FAILURE_H
#define ROCKSDB_FAILURE_H

#include <strid/error.h>

/* Each takes `text` (malloc'ed by RocksDB, not NULL), frees it, fills `err`, returns its status. */

/* While opening: STRID_ENOTFOUND, STRID_ECORRUPT, STRID_ENOSPC, STRID_EVERSION or STRID_EIO. */
strid_status rocksdb_failure_open(char *text, const char *path, strid_error *err);
/* While reading: STRID_ECORRUPT or STRID_EIO. */
strid_status rocksdb_failure_read(char *text, const char *path, strid_error *err);
/* While writing, syncing or loading: always STRID_ESTORE, since the outcome is unknown. */
strid_status rocksdb_failure_write(char *text, const char *path, const char *doing,
                                   strid_error *err);

#endif
