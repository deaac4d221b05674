#include "lines.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10 };

void lines_fini(struct lines *lines) { buffer_fini(&lines->data); }

static bool take(struct lines *lines, size_t end, strid_bytes *line)
{
    *line = strid_bytes_of(lines->data.data + lines->at, end - lines->at);
    lines->at = end < lines->data.len ? end + 1 : end;
    lines->scanned = lines->at;
    return true;
}

static bool find(struct lines *lines, strid_bytes *line)
{
    struct buffer *data = &lines->data;
    const uint8_t *newline = data->len == lines->scanned ? NULL
                                                         : memchr(data->data + lines->scanned, '\n',
                                                                  data->len - lines->scanned);
    lines->scanned = data->len;
    if (newline != NULL)
        return take(lines, (size_t)(newline - data->data), line);
    return lines->ended && lines->at < data->len && take(lines, data->len, line);
}

/* Moves what is left to the front and reads more behind it. */
static enum lines_status fill(struct lines *lines)
{
    struct buffer *data = &lines->data;
    if (lines->at > 0) {
        memmove(data->data, data->data + lines->at, data->len - lines->at);
        data->len -= lines->at;
        lines->scanned -= lines->at;
        lines->at = 0;
    }
    if (data->len >= LINES_BYTES_MAX)
        return LINES_TOO_LONG;
    struct pollfd ready = {.fd = lines->fd, .events = POLLIN};
    if (!lines->told_idle && poll(&ready, 1, 0) == 0) {
        lines->told_idle = true;
        return LINES_IDLE;
    }
    uint8_t *room = buffer_reserve(data, READ_BYTES + LINES_PADDING);
    ssize_t got = read(lines->fd, room, READ_BYTES);
    if (got < 0)
        return errno == EINTR ? LINES_IDLE : LINES_FAILED;
    lines->ended = got == 0;
    lines->told_idle = false;
    lines->bytes += (uint64_t)got;
    data->len += (size_t)got;
    memset(data->data + data->len, 0, LINES_PADDING);
    return LINES_LINE;
}

enum lines_status lines_next(struct lines *lines, strid_bytes *line)
{
    for (;;) {
        if (find(lines, line))
            return LINES_LINE;
        if (lines->ended)
            return LINES_END;
        enum lines_status status = fill(lines);
        if (status != LINES_LINE)
            return status;
    }
}
