#include "rocksdb_failure.h"

#include "base/error.h"

#include <rocksdb/c.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define COMPONENT "rocksdb"

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_no_space(const char *text)
{
    return has_prefix(text, "IO error") && strstr(text, "No space left") != NULL;
}

static strid_status corrupt(const char *text, const char *path, strid_error *err)
{
    return error_set(err, STRID_ECORRUPT, COMPONENT,
                     "the state in %s is damaged; restore a backup of it, or move it away and "
                     "process the source again from its beginning: %s",
                     path, text);
}

strid_status rocksdb_failure_open(char *text, const char *path, strid_error *err)
{
    strid_status status;
    if (has_prefix(text, "Corruption"))
        status = corrupt(text, path, err);
    else if (has_prefix(text, "NotFound") || strstr(text, "create_if_missing is false") != NULL)
        status =
            error_set(err, STRID_ENOTFOUND, COMPONENT, "there is no state in %s: %s", path, text);
    else if (is_no_space(text))
        status = error_set(err, STRID_ENOSPC, COMPONENT,
                           "the disk of %s is full; make room and start again: %s", path, text);
    else if (has_prefix(text, "Not implemented"))
        status = error_set(err, STRID_EVERSION, COMPONENT,
                           "%s was written by a newer RocksDB; use the version that wrote it: %s",
                           path, text);
    else
        status = error_set(err, STRID_EIO, COMPONENT, "cannot open %s: %s", path, text);
    rocksdb_free(text);
    return status;
}

strid_status rocksdb_failure_read(char *text, const char *path, strid_error *err)
{
    strid_status status = STRID_EIO;
    if (has_prefix(text, "Corruption"))
        status = corrupt(text, path, err);
    else
        (void)error_set(err, status, COMPONENT, "cannot read %s: %s", path, text);
    rocksdb_free(text);
    return status;
}

strid_status rocksdb_failure_write(char *text, const char *path, const char *doing,
                                   strid_error *err)
{
    bool full = is_no_space(text);
    (void)error_set(err, STRID_ESTORE, COMPONENT,
                    "%s failed in %s, its outcome is unknown until the store is opened again%s: %s",
                    doing, path, full ? "; the disk is full, make room" : "", text);
    if (err != NULL) {
        err->flags |= STRID_ERROR_FATAL;
        err->native_code = full ? ENOSPC : 0;
    }
    rocksdb_free(text);
    return STRID_ESTORE;
}
