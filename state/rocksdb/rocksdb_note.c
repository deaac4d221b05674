#include "rocksdb_note.h"

#include "base/buffer.h"
#include "base/crc32c.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

enum { NUMBER_BYTES = 8, NOTE_BYTES = NUMBER_BYTES + 4 };

static int open_file(const struct rocksdb_note *note, int flags)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/" ROCKSDB_NOTE_NAME, note->path) >= (int)sizeof path)
        return -1;
    return open(path, flags | O_CLOEXEC, 0600);
}

/* What cannot be noted is no failure: the sync has taken place. */
void rocksdb_note_put(struct rocksdb_note *note, uint64_t number)
{
    uint8_t bytes[NOTE_BYTES];
    if (note->fd < 0 && (note->fd = open_file(note, O_WRONLY | O_CREAT)) < 0)
        return;
    uint32_t crc = crc32c(0, &number, NUMBER_BYTES);
    memcpy(bytes, &number, NUMBER_BYTES);
    memcpy(bytes + NUMBER_BYTES, &crc, sizeof crc);
    ssize_t written = pwrite(note->fd, bytes, sizeof bytes, 0);
    (void)written;
}

uint64_t rocksdb_note_get(const struct rocksdb_note *note)
{
    uint8_t bytes[NOTE_BYTES];
    uint64_t number = 0;
    uint32_t crc = 0;
    int fd = open_file(note, O_RDONLY);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, bytes, sizeof bytes);
    (void)close(fd);
    if (got != (ssize_t)sizeof bytes) /* torn by a power loss, before the first one was whole */
        return 0;
    memcpy(&number, bytes, NUMBER_BYTES);
    memcpy(&crc, bytes + NUMBER_BYTES, sizeof crc);
    return crc == crc32c(0, &number, NUMBER_BYTES) ? number : 0;
}

void rocksdb_note_close(struct rocksdb_note *note)
{
    if (note->fd >= 0)
        (void)close(note->fd);
    note->fd = -1;
}
