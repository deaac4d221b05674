/* A dead letter in the outbox, as bytes: the record with its failure as a waiting record has them
 * (retry_record.h), and what its id is made of besides.
 *
 *   version partition ordinal, then the waiting record
 *
 * The partition is the one of the id: a source may number its partitions anew with each start, and
 * a letter that is sent again has the same id. What is read comes from a disk: the decoder checks
 * it to the last byte. @thread any @locks none */
#ifndef RUNTIME_OUTBOX_RECORD_H
#define RUNTIME_OUTBOX_RECORD_H

#include "runtime/retry_record.h"

struct outbox_record {
    uint32_t partition; /* as in ids */
    uint32_t ordinal;   /* how often the record was handed back before it failed again */
    struct retry_record letter;
};

void outbox_record_put(struct buffer *bytes, const struct outbox_record *record); /* appends */
/* As retry_record_get(). False: damaged, or written by a later version. */
bool outbox_record_get(strid_bytes bytes, struct buffer *headers, struct outbox_record *out);

#endif
