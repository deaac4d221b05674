/* Finds key, type and declared fields in a raw record's value: JSON by simdjson, text by PCRE2. One
 * per reader thread. */
#ifndef PIPELINE_DECODER_H
#define PIPELINE_DECODER_H

#include <strid/source.h>

#include "definition.h"

struct decoder;

struct decoded {
    strid_bytes key; /* lives until the next decode, or as long as the raw record */
    strid_bytes type;
    const strid_field *fields; /* decode_definition.field_count of them */
    const char *fault; /* not NULL: unreadable: "not_json", "not_utf8", "not_object", "too_deep",
                          "key_missing", "unmatched" and "pattern_limit" (pattern), "key_too_long",
                          or the raw record's own fault */
    bool skip;         /* no match and `unmatched: skip` */
};

/* `padded`: 64 bytes behind every raw value may be read. */
strid_status decoder_create(const struct decode_definition *definition, bool padded,
                            struct decoder **out, strid_error *err);
void decoder_destroy(struct decoder *decoder);
void decoder_decode(struct decoder *decoder, const strid_raw *raw, struct decoded *out);

#endif
