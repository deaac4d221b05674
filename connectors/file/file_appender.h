/* Appends to one file so that what a failed write or sync left behind is cut off again. Holds the
 * file's lock (flock) while it is open: a second writer would be cut off with it.
 *
 * @thread the delivery that owns the sink */
#ifndef FILE_APPENDER_H
#define FILE_APPENDER_H

#include <stdbool.h>

#include <strid/error.h>

#include "base/buffer.h"

struct file_appender {
    char *path;
    int fd;                   /* -1: not open */
    struct buffer buffer;     /* not yet written */
    uint64_t flushed_bytes;   /* size of the file after the last flush, or when it was opened */
    uint64_t attempted_bytes; /* how long our writes since then can have made it */
    bool cut_pending;         /* what lies beyond flushed_bytes could not be cut off yet */
};

void file_appender_init(struct file_appender *appender, const char *path);
void file_appender_fini(struct file_appender *appender); /* what was not flushed is dropped */

/* Opens the file, makes it where it is missing. */
strid_status file_appender_open(struct file_appender *appender, strid_error *err);

/* Writes the buffer where it has grown large. After an error: file_appender_rollback. */
strid_status file_appender_write(struct file_appender *appender, strid_error *err);
/* Makes everything durable. After an error: file_appender_rollback. */
strid_status file_appender_flush(struct file_appender *appender, strid_error *err);

/* Back to the last flush. The descriptor is closed: a sync that failed on it must not be tried
 * again there, it would succeed without the data. */
void file_appender_rollback(struct file_appender *appender);

/* Syncs the directory that a file is in: a new name is durable only then. */
strid_status file_appender_sync_directory(const char *path, strid_error *err);

#endif
