#include "file_locate.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define COMPONENT "file"

/* The end counts: the last line may be without its line end. */
static strid_status check_line(const struct file_entry *entry, uint64_t position, strid_error *err)
{
    char before = '\n';
    if (position > entry->bytes)
        return error_set(err, STRID_EINVAL, COMPONENT,
                         "%s has %" PRIu64 " bytes, so it cannot be gone on with at byte %" PRIu64,
                         entry->path, entry->bytes, position);
    if (position == 0 || position == entry->bytes)
        return STRID_OK;
    int fd = open(entry->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be opened", entry->path);
    ssize_t got = pread(fd, &before, 1, (off_t)position - 1);
    int code = errno;
    (void)close(fd);
    if (got != 1)
        return error_set_errno(err, got < 0 ? code : EIO, COMPONENT,
                               "%s cannot be read at byte %" PRIu64, entry->path, position - 1);
    if (before == '\n')
        return STRID_OK;
    return error_set(err, STRID_EINVAL, COMPONENT, "no line of %s begins at byte %" PRIu64,
                     entry->path, position);
}

strid_status file_locate(const struct file_entry *entry, const strid_place *to,
                         strid_relocation *relocation, strid_error *err)
{
    relocation->wanted = (strid_position){0, 0};
    switch (to->kind) {
    case STRID_PLACE_EARLIEST:
        return STRID_OK;
    case STRID_PLACE_LATEST:
        relocation->wanted.low = entry->bytes;
        return STRID_OK;
    case STRID_PLACE_POSITION:
        relocation->wanted = to->position;
        return check_line(entry, to->position.low, err);
    case STRID_PLACE_TIME:
    case STRID_PLACE_SHIFT:
        break;
    }
    return error_set(err, STRID_EUNSUPPORTED, COMPONENT,
                     "%s: lines have no time and are not counted; say earliest, latest or the byte "
                     "at which a line begins",
                     entry->path);
}
