#include "file_reader.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define COMPONENT "file"

static const char line_too_long[] = "line_too_long";
static const char line_extended[] = "line_extended";

/* What is taken from the buffer at a time: a line, or a piece of one that is too long. */
struct piece {
    size_t len;         /* 0: nothing in it, it is passed over */
    size_t taken;       /* with its line end */
    const char *fault;  /* why this piece is unreadable */
    const char *behind; /* the fault of what follows in the same line; NULL: the line has ended */
};

static struct piece too_long_piece(const struct file_reader *reader)
{
    const char *fault = reader->fault == NULL ? line_too_long : reader->fault;
    return (struct piece){.len = (size_t)reader->line_bytes_max,
                          .taken = (size_t)reader->line_bytes_max,
                          .fault = fault,
                          .behind = fault};
}

/* The last line has no line end. A carriage return at its end stays where it is: it may be half of
 * a line end or a byte of a line that is still being written; the next run will see. */
static bool last_piece(const struct file_reader *reader, struct piece *piece)
{
    size_t len = reader->end - reader->begin;
    if (len > 0 && reader->buffer[reader->end - 1] == '\r')
        len--;
    if (len > reader->line_bytes_max) {
        *piece = too_long_piece(reader);
        return true;
    }
    *piece =
        (struct piece){.len = len, .taken = len, .fault = reader->fault, .behind = line_extended};
    return len > 0;
}

/* Finds the next piece without taking it, so that one that was refused is found again. */
static inline bool next_piece(struct file_reader *reader, struct piece *piece)
{
    const uint8_t *data = reader->buffer + reader->begin;
    size_t have = reader->end - reader->begin;
    /* A line end behind so many bytes cannot make the line short enough any more. */
    size_t look = (size_t)reader->line_bytes_max + 2;
    size_t known = reader->scanned - reader->begin;
    if (look > have)
        look = have;
    const uint8_t *newline = known < look ? memchr(data + known, '\n', look - known) : NULL;
    if (__builtin_expect(newline != NULL, 1)) {
        size_t line = (size_t)(newline - data);
        size_t len = line - (size_t)(line > 0 && data[line - 1] == '\r');
        if (__builtin_expect(len > reader->line_bytes_max, 0))
            *piece = too_long_piece(reader);
        else
            *piece = (struct piece){.len = len, .taken = line + 1, .fault = reader->fault};
        return true;
    }
    reader->scanned = reader->begin + look;
    if (look == (size_t)reader->line_bytes_max + 2) {
        *piece = too_long_piece(reader);
        return true;
    }
    return reader->ended && last_piece(reader, piece);
}

static inline void take(struct file_reader *reader, const struct piece *piece)
{
    reader->begin += piece->taken;
    reader->fault = piece->behind;
    if (reader->scanned < reader->begin)
        reader->scanned = reader->begin;
    STRID_DASSERT(reader->begin <= reader->end);
}

static ssize_t read_at(int fd, void *data, size_t len, uint64_t offset)
{
    for (;;) {
        ssize_t got = pread(fd, data, len, (off_t)offset);
        if (got >= 0 || errno != EINTR)
            return got;
    }
}

static void resize(struct file_reader *reader, size_t capacity)
{
    reader->buffer = memory_resize(reader->buffer, capacity + FILE_READER_PADDING);
    memset(reader->buffer + capacity, 0, FILE_READER_PADDING);
    reader->capacity = capacity;
}

/* What is left of the last block goes to the front. The buffer grows only where a long line fills
 * more than half of it, and never beyond the longest line and a block. */
static void make_room(struct file_reader *reader)
{
    size_t left = reader->end - reader->begin;
    if (reader->begin > 0) {
        memmove(reader->buffer, reader->buffer + reader->begin, left);
        reader->base += reader->begin;
        reader->scanned -= reader->begin;
        reader->begin = 0;
        reader->end = left;
    }
    size_t most = (size_t)(reader->line_bytes_max + reader->read_bytes + 2);
    if (left > reader->capacity / 2 && reader->capacity < most)
        resize(reader, reader->capacity > most / 2 ? most : reader->capacity * 2);
    STRID_ASSERT(reader->end < reader->capacity);
}

static strid_status fill(struct file_reader *reader, strid_error *err)
{
    make_room(reader);
    size_t room = reader->capacity - reader->end;
    if (room > reader->read_bytes)
        room = (size_t)reader->read_bytes;
    uint64_t offset = reader->base + reader->end;
    ssize_t got = read_at(reader->fd, reader->buffer + reader->end, room, offset);
    if (got < 0)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be read at byte %" PRIu64,
                               reader->path, offset);
    reader->end += (size_t)got;
    if (got > 0)
        return STRID_OK;
    off_t size = lseek(reader->fd, 0, SEEK_END);
    if (size >= 0 && (uint64_t)size < offset)
        return error_set(err, STRID_EGAP, COMPONENT,
                         "%s was truncated to %" PRIu64 " bytes while it was read at byte %" PRIu64
                         ": restore it, go on elsewhere with `strid reset`, or use a new state "
                         "directory",
                         reader->path, (uint64_t)size, offset);
    reader->ended = true;
    return STRID_OK;
}

static inline strid_position position_of(const struct file_reader *reader, size_t index)
{
    return (strid_position){0, reader->base + index};
}

/* Adds what the buffer holds. STRID_EOF: the buffer holds no whole piece any more. */
static strid_status add_pieces(struct file_reader *reader, strid_intake *out,
                               uint32_t *records_left)
{
    struct piece piece;
    bool passed_over = false;
    strid_status status = STRID_OK;
    while (status == STRID_OK && *records_left > 0) {
        if (!next_piece(reader, &piece)) {
            status = STRID_EOF;
            break;
        }
        if (piece.len == 0) {
            take(reader, &piece);
            passed_over = true;
            continue;
        }
        if (passed_over)
            strid_intake_skip(out, position_of(reader, reader->begin));
        passed_over = false;
        strid_raw raw = {
            .value = {reader->buffer + reader->begin, piece.len},
            .position = position_of(reader, reader->begin),
            .next = position_of(reader, reader->begin + piece.taken),
            .timestamp_ms = STRID_TIMESTAMP_NONE,
            .fault = piece.fault,
        };
        status = strid_intake_add(out, &raw);
        if (status != STRID_OK)
            break;
        take(reader, &piece);
        (*records_left)--;
    }
    if (passed_over)
        strid_intake_skip(out, position_of(reader, reader->begin));
    return status;
}

strid_status file_reader_poll(struct file_reader *reader, strid_intake *out, uint32_t records_max,
                              strid_error *err)
{
    STRID_ASSERT(reader->fd >= 0);
    uint32_t records_left = records_max;
    strid_status status = add_pieces(reader, out, &records_left);
    if (status != STRID_EOF)
        return status;
    if (!reader->ended) {
        /* One read a poll bounds how long a poll takes. */
        status = fill(reader, err);
        if (status != STRID_OK)
            return status;
        status = add_pieces(reader, out, &records_left);
    }
    return status == STRID_EOF && !reader->ended ? STRID_OK : status;
}

static strid_status hash_beginning(const struct file_reader *reader, uint64_t bytes, uint64_t *hash,
                                   strid_error *err)
{
    uint8_t data[FILE_READER_FINGERPRINT_BYTES];
    STRID_ASSERT(bytes <= sizeof data);
    size_t have = 0;
    while (have < bytes) {
        ssize_t got = read_at(reader->fd, data + have, (size_t)bytes - have, have);
        if (got < 0)
            return error_set_errno(err, errno, COMPONENT, "%s cannot be read", reader->path);
        if (got == 0)
            break; /* shorter than it was: its hash will not fit */
        have += (size_t)got;
    }
    *hash = XXH3_64bits(data, have);
    return STRID_OK;
}

static strid_status changed(const struct file_reader *reader, const char *how, strid_error *err)
{
    return error_set(err, STRID_EGAP, COMPONENT,
                     "%s is not the file that was read before, %s: restore that file, go on "
                     "elsewhere with `strid reset`, or use a new state directory",
                     reader->path, how);
}

static strid_status check_resume(const struct file_reader *reader, const strid_resume *resume,
                                 uint64_t size, strid_error *err)
{
    if (resume->position.high != 0 || resume->position.low > size) {
        char how[96];
        (void)snprintf(how, sizeof how, "it ends at byte %" PRIu64 " but was read up to %" PRIu64,
                       size, resume->position.low);
        return changed(reader, how, err);
    }
    if (resume->fingerprint.len == 0)
        return STRID_OK;
    uint64_t stored[2];
    if (resume->fingerprint.len != sizeof stored)
        return changed(reader, "its fingerprint has another form", err);
    memcpy(stored, resume->fingerprint.data, sizeof stored);
    if (stored[0] > FILE_READER_FINGERPRINT_BYTES)
        return changed(reader, "its fingerprint has another form", err);
    if (stored[0] > size)
        return changed(reader, "it is shorter", err);
    uint64_t hash = 0;
    strid_status status = hash_beginning(reader, stored[0], &hash, err);
    if (status == STRID_OK && hash != stored[1])
        status = changed(reader, "it begins with other bytes", err);
    return status;
}

/* Where reading goes on in the midst of a line, either the line was longer than allowed, or it was
 * the last one and had no end yet. */
static strid_status find_fault(struct file_reader *reader, uint64_t position, strid_error *err)
{
    uint8_t block[4096];
    uint64_t back = 0; /* how many bytes before `position` hold no newline */
    while (back < position && back < reader->line_bytes_max) {
        uint64_t len = position - back < sizeof block ? position - back : sizeof block;
        uint64_t from = position - back - len;
        ssize_t got = read_at(reader->fd, block, (size_t)len, from);
        if (got < 0 || (uint64_t)got < len)
            return error_set_errno(err, got < 0 ? errno : EIO, COMPONENT,
                                   "%s cannot be read at byte %" PRIu64, reader->path, from);
        const uint8_t *newline = memrchr(block, '\n', (size_t)len);
        if (newline != NULL) {
            back += len - (uint64_t)(newline - block) - 1;
            break;
        }
        back += len;
    }
    if (back > 0)
        reader->fault = back >= reader->line_bytes_max ? line_too_long : line_extended;
    return STRID_OK;
}

static strid_status go_to(struct file_reader *reader, const strid_resume *resume, uint64_t size,
                          strid_error *err)
{
    uint64_t position = 0;
    if (resume->resumed) {
        strid_status status = check_resume(reader, resume, size, err);
        if (status != STRID_OK)
            return status;
        position = resume->position.low;
    }
    reader->base = position;
    reader->fingerprint_bytes =
        size < FILE_READER_FINGERPRINT_BYTES ? size : FILE_READER_FINGERPRINT_BYTES;
    strid_status status =
        hash_beginning(reader, reader->fingerprint_bytes, &reader->fingerprint_hash, err);
    if (status == STRID_OK)
        status = find_fault(reader, position, err);
    if (status != STRID_OK)
        return status;
    /* A small file needs no large buffer. */
    uint64_t left = size - position + 1;
    resize(reader, (size_t)(left < reader->read_bytes ? left : reader->read_bytes));
    (void)posix_fadvise(reader->fd, (off_t)position, 0, POSIX_FADV_SEQUENTIAL);
    return STRID_OK;
}

static void close_file(struct file_reader *reader)
{
    if (reader->fd >= 0)
        (void)close(reader->fd);
    reader->fd = -1;
}

strid_status file_reader_assign(struct file_reader *reader, const strid_resume *resume,
                                strid_error *err)
{
    close_file(reader);
    reader->begin = reader->end = reader->scanned = 0;
    reader->fault = NULL;
    reader->ended = false;
    reader->fd = open(reader->path, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0)
        return error_set_errno(err, errno, COMPONENT, "%s cannot be opened%s", reader->path,
                               errno == EMFILE ? " (all files of a source are held open: raise the "
                                                 "limit, ulimit -n, or choose with `match`)"
                                               : "");
    off_t size = lseek(reader->fd, 0, SEEK_END);
    strid_status status =
        size < 0 ? error_set_errno(err, errno, COMPONENT, "%s cannot be measured", reader->path)
                 : go_to(reader, resume, (uint64_t)size, err);
    if (status != STRID_OK)
        close_file(reader);
    return status;
}

size_t file_reader_fingerprint(const struct file_reader *reader, uint8_t *out)
{
    uint64_t stored[2] = {reader->fingerprint_bytes, reader->fingerprint_hash};
    _Static_assert(sizeof stored <= STRID_FINGERPRINT_MAX, "a fingerprint has to fit");
    memcpy(out, stored, sizeof stored);
    return sizeof stored;
}

void file_reader_init(struct file_reader *reader, const char *path, uint64_t line_bytes_max,
                      uint64_t read_bytes)
{
    STRID_ASSERT(line_bytes_max > 0);
    STRID_ASSERT(read_bytes > 0);
    *reader = (struct file_reader){
        .fd = -1, .path = path, .line_bytes_max = line_bytes_max, .read_bytes = read_bytes};
}

void file_reader_fini(struct file_reader *reader)
{
    close_file(reader);
    memory_free(reader->buffer);
    reader->buffer = NULL;
}
