/* Reads one file line by line in large blocks, without copying a line. The rules about lines are in
 * docs/connectors/file.md.
 *
 *   buffer  |......|begin ..... scanned ..... end|  free  |capacity  padding|
 *                   first byte not taken          bytes read
 *
 * @thread the reader that owns the partition; assign: control, while nobody polls */
#ifndef FILE_READER_H
#define FILE_READER_H

#include <stdalign.h>

#include <strid/source.h>

#define FILE_READER_PADDING 64
#define FILE_READER_FINGERPRINT_BYTES 1024

struct file_reader {
    alignas(64) uint8_t *buffer;
    size_t capacity; /* without the padding */
    size_t begin;
    size_t end;
    size_t scanned;    /* [begin, scanned) holds no newline */
    uint64_t base;     /* place of buffer[0] in the file */
    const char *fault; /* of the line that `begin` lies in the midst of; NULL: `begin` begins a line
                        */
    bool ended;
    int fd; /* -1: none */
    uint64_t line_bytes_max;
    uint64_t read_bytes;
    const char *path; /* borrowed */
    uint64_t fingerprint_hash;
    uint64_t fingerprint_bytes;
};

void file_reader_init(struct file_reader *reader, const char *path, uint64_t line_bytes_max,
                      uint64_t read_bytes);
void file_reader_fini(struct file_reader *reader);

/* Opens the file (anew) and goes to the place. STRID_EGAP: it is not the file that was read before.
 */
strid_status file_reader_assign(struct file_reader *reader, const strid_resume *resume,
                                strid_error *err);
size_t file_reader_fingerprint(const struct file_reader *reader, uint8_t *out);
strid_status file_reader_poll(struct file_reader *reader, strid_intake *out, uint32_t records_max,
                              strid_error *err);

#endif
