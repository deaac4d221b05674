/* How `consume`, `tap` and `dlq` print a record: kcat's format strings (-f) and its JSON envelope
 * (-J), the same for every connector. A format is parsed once and then only read. @thread any */
#ifndef FORMAT_H
#define FORMAT_H

#include <strid/error.h>
#include <strid/record.h>

#include "base/buffer.h"

/* What `strid help` shows of the tokens. */
#define FORMAT_HELP                                                                                \
    "%s value, %S its length, %R its length as 32 bits big-endian, %k key, %K its length, "        \
    "%T timestamp in ms, %h headers, %t topic, %p partition, %o position, %d attempts, %e error, " \
    "%% a percent sign; \\n \\r \\t \\\\ \\xHH"

/* A record and what only some sources know of it. All views are borrowed for the call. */
struct format_record {
    const strid_record *record;
    const char *timestamp_type; /* "create", "logappend"; NULL: unknown */
    strid_bytes error;          /* why it was dead-lettered; absent: it was not */
    uint32_t attempts;          /* 0: unknown */
    int32_t broker;             /* id of the broker that it came from; negative: there is none */
    bool position_pair;         /* positions are HIGH-LOW, as Redis writes them */
};

struct format_part {
    uint32_t start; /* of the literal text in `literals` */
    uint32_t len;
    char token; /* 0: literal text */
};

struct format {
    struct format_part *parts;
    size_t part_count;
    struct buffer literals;
};

/* Parses `text`. A failure names the column and leaves nothing to release. */
STRID_NODISCARD strid_status format_parse(struct format *format, const char *text,
                                          strid_error *err);
/* Idempotent, safe on a zeroed struct. */
void format_fini(struct format *format);

/* Appends the record as the format says, without adding a newline. */
void format_put(const struct format *format, struct buffer *out, const struct format_record *what);
/* Appends the envelope {topic, partition, offset, tstype, ts, broker, headers, key, payload}. What
 * is no UTF-8 stands as NAME_base64; a tombstone is null. No newline. */
void format_put_json(struct buffer *out, const struct format_record *what);
/* Appends them as an array of names and values in turn. */
void format_put_headers(struct buffer *out, const strid_header *headers, uint32_t count);
/* Appends N, or HIGH-LOW. */
void format_put_position(struct buffer *out, strid_position position, bool pair);

#endif
