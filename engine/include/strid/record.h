/* One message and its parts. A record is a frozen view: all it points to lives until the handler
 * returns. */
#ifndef STRID_RECORD_H
#define STRID_RECORD_H

#include <stdbool.h>

#include <strid/bytes.h>

/* Place of a record in its partition: compared as a 128-bit number, never as text.
 * File: {0, byte offset}. Kafka: {0, offset}. Redis: {milliseconds, sequence}. */
typedef struct strid_position {
    uint64_t high;
    uint64_t low;
} strid_position;

#define STRID_TIMESTAMP_NONE INT64_MIN

/* Where records come from. Lives as long as the pipeline runs. */
typedef struct strid_origin {
    const char *source; /* as configured, without secrets, for example "file:orders.jsonl" */
    const char *topic;  /* the file's path, the Kafka topic, the stream key */
    uint32_t partition; /* number within the topic; where there is only one, within the source */
} strid_origin;

typedef struct strid_header {
    strid_bytes name;
    strid_bytes value;
} strid_header;

typedef enum strid_field_kind {
    STRID_FIELD_ABSENT = 0,
    STRID_FIELD_NULL,
    STRID_FIELD_BOOL,   /* text is "true" or "false" */
    STRID_FIELD_INT,    /* fits in 64 signed bits: integer and real are set */
    STRID_FIELD_REAL,   /* any other number: real is set */
    STRID_FIELD_STRING, /* text is the unescaped string */
    STRID_FIELD_OTHER   /* an object or an array: text is its JSON */
} strid_field_kind;

/* A field of a record's value: a JSON field or a named group of a text pattern (always a string).
 */
typedef struct strid_field {
    strid_bytes text; /* numbers: as they were written */
    int64_t integer;
    double real;
    strid_field_kind kind;
} strid_field;

typedef struct strid_record {
    strid_bytes key;   /* data NULL: without a key */
    strid_bytes value; /* data NULL: a tombstone */
    strid_bytes type;  /* what handlers are chosen by; empty: none */
    strid_position position;
    int64_t timestamp_ms; /* milliseconds since 1970 UTC, or STRID_TIMESTAMP_NONE */
    const strid_origin *origin;
    const strid_header *headers;
    const strid_field
        *fields; /* the fields that the pipeline declares, in the order of declaration */
    uint32_t header_count;
    uint32_t field_count;
} strid_record;

/** @brief -1, 0 or 1 as `a` lies before, at or behind `b`. Thread safety: any thread. */
static inline int strid_position_compare(strid_position a, strid_position b)
{
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return a.low < b.low ? -1 : (a.low > b.low ? 1 : 0);
}

#endif
