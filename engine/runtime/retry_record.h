/* What the retry keyspace holds, as bytes: copies of records that wait for another attempt or are
 * parked behind one, and the head of each waiting key. Both are values of ordinary entries, which
 * travel in the block that moves progress past the record.
 *
 *   record  version partition position attempt first_ms last_ms timestamp, then type, topic,
 *           reason, key and value each as length and bytes, then the headers
 *   head    version flags first_seq last_seq attempt partition due_ms first_ms bytes, of fixed
 *           length
 *
 * What is read comes from a disk: every decoder checks it to the last byte. Fit for fuzzing: they
 * need nothing but bytes. @thread any @locks none */
#ifndef RUNTIME_RETRY_RECORD_H
#define RUNTIME_RETRY_RECORD_H

#include <strid/record.h>

#include "base/buffer.h"

struct retry_record {
    strid_record record; /* without origin and fields: the partition's number and the value say */
    uint32_t partition;  /* as the state directory numbers it */
    uint32_t
        attempt; /* failed ones when it was copied; 0: parked, never tried. The head counts on */
    int64_t first_ms, last_ms; /* wall clock of the first and the last failure; 0: none */
    strid_bytes topic;
    strid_bytes reason; /* of the first failure, or why a parked record cannot be read */
};

enum {
    RETRY_HEAD_KEYLESS = 1,   /* the key is a partition's */
    RETRY_HEAD_ALONE = 2,     /* one record that nothing is parked behind (`ordering: none`) */
    RETRY_HEAD_PARTITION = 4, /* what is parked are records of any key (`ordering: partition`) */
    RETRY_HEAD_FLAGS = 7
};

struct retry_head {
    uint64_t first_seq, last_seq; /* of the entries: the first waits, those behind it are parked */
    uint64_t bytes;               /* of all of them */
    int64_t due_ms;               /* wall clock */
    int64_t first_ms;             /* the first failure of the first entry */
    uint32_t attempt;             /* failed ones of the first entry */
    uint32_t partition;           /* whose bound the entries count for */
    uint8_t flags;
};

/* Appends. */
void retry_record_put(struct buffer *bytes, const struct retry_record *record);
void retry_record_put_head(struct buffer *bytes, const struct retry_head *head);

/* Reads one back; `headers` is the caller's and receives a strid_header array. Everything in `out`
 * is a view into `bytes` and `headers`. False: damaged, or written by a later version. */
bool retry_record_get(strid_bytes bytes, struct buffer *headers, struct retry_record *out);
bool retry_record_get_head(strid_bytes bytes, struct retry_head *out);
/* Of what retry_record_put() made: whose record it is. */
void retry_record_place(strid_bytes bytes, uint32_t *partition, strid_position *position);

/* The subkey of an entry: 8 bytes, big-endian, so that a scan gives the order of arrival. */
enum { RETRY_SUBKEY_BYTES = 8 };
void retry_record_subkey(uint8_t out[RETRY_SUBKEY_BYTES], uint64_t seq);
bool retry_record_seq(strid_bytes subkey, uint64_t *out);

#endif
