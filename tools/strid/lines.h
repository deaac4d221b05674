/* Lines of a file descriptor, of any length up to a bound and with any bytes. It says when reading
 * would wait, so that what came can be sent meanwhile. One thread. */
#ifndef LINES_H
#define LINES_H

#include "base/buffer.h"

enum { LINES_PADDING = 64 }; /* bytes behind a line that may be read */

enum lines_status {
    LINES_LINE,
    LINES_IDLE, /* nothing there right now: the next call waits */
    LINES_END,
    LINES_TOO_LONG, /* LINES_BYTES_MAX; reading has ended */
    LINES_FAILED    /* errno says why */
};

#define LINES_BYTES_MAX ((size_t)512 << 20)

struct lines {
    int fd;
    struct buffer data;
    size_t at;      /* where the next line begins */
    size_t scanned; /* no newline before it */
    bool ended;
    bool told_idle; /* since the last byte came */
    uint64_t bytes; /* read so far */
};

/* `line`, without its newline, lives until the next call. */
enum lines_status lines_next(struct lines *lines, strid_bytes *line);
void lines_fini(struct lines *lines);

#endif
