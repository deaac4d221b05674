#include "disk_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

/* From here it is written over from its beginning, so that a fast disk is not filled. */
static const uint64_t file_bytes_max = UINT64_C(4) << 30;

static int write_piece(int fd, const uint8_t *bytes, uint64_t at)
{
    size_t written = 0;
    while (written < PIECE) {
        ssize_t some = pwrite(fd, bytes + written, PIECE - written, (off_t)(at + written));
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0)
            return -1;
        written += (size_t)some;
    }
    return 0;
}

static int sync_file(int fd, struct bench_run *out)
{
    out->syncs++;
    return fdatasync(fd);
}

static int write_file(const struct disk_loop *loop, int fd, double seconds, struct bench_run *out)
{
    double start_s = measure_wall_s();
    double synced_s = start_s;
    double now_s = start_s;
    uint64_t total = 0;
    while (now_s - start_s < seconds) {
        const uint8_t *piece = loop->bytes + total % loop->bytes_len;
        if (write_piece(fd, piece, total % file_bytes_max) != 0)
            return -1;
        total += PIECE;
        now_s = measure_wall_s();
        if (now_s - synced_s < loop->sync_every_s)
            continue;
        if (sync_file(fd, out) != 0)
            return -1;
        synced_s = measure_wall_s();
    }
    if (sync_file(fd, out) != 0)
        return -1;
    out->records = total / loop->record_bytes;
    out->wall_s = measure_wall_s() - start_s;
    return 0;
}

int disk_loop(const struct disk_loop *loop, double seconds, struct bench_run *out)
{
    int fd = open(loop->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return measure_failed(loop->path, strerror(errno));
    double cpu_s = measure_cpu_s();
    int result = write_file(loop, fd, seconds, out);
    out->cpu_s = measure_cpu_s() - cpu_s;
    if (result != 0)
        (void)measure_failed(loop->path, strerror(errno));
    (void)close(fd);
    (void)unlink(loop->path);
    return result;
}
