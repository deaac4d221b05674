/* An entry of a stream as a record: one field is its value and the others its headers, or all of
 * them are, as a JSON object. One thread. */
#ifndef REDIS_RECORD_H
#define REDIS_RECORD_H

#include <strid/source.h>

#include "redis_config.h"
#include "redis_entries.h"

/* Memory that is used again for each record. Zero is empty. */
struct redis_record {
    strid_header *headers;
    uint32_t header_capacity;
    struct buffer json;
    strid_raw raw;
};

void redis_record_fini(struct redis_record *record);

/* Fills record->raw, which lives as long as the entry and until the next call; 64 bytes behind its
 * value may be read. A record without its field, or whose fields are no text and so no JSON, has a
 * fault and all fields as headers. */
void redis_record_make(struct redis_record *record, const struct redis_source_options *options,
                       const struct redis_entry_head *head, struct cursor fields);

#endif
