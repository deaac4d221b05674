/* A JSON object as the flat fields of an entry: a text is a field's bytes, anything else its JSON.
 * @thread the owner */
#ifndef REDIS_OBJECT_H
#define REDIS_OBJECT_H

#include <strid/record.h>

#include "base/buffer.h"

struct json_parser;

struct redis_member {
    strid_header field;
    bool is_text; /* else it is JSON */
};

/* Memory that is used again. Zero is empty. */
struct redis_object {
    struct buffer members; /* struct redis_member */
    struct buffer text;    /* what had to be unescaped */
    struct json_parser *parser;
};

void redis_object_fini(struct redis_object *object);

/* Takes the members of `json`, which has to outlive them, in their order; they live until the next
 * call. False: it is no JSON object, or one without members. */
bool redis_object_read(struct redis_object *object, strid_bytes json);
uint32_t redis_object_count(const struct redis_object *object);
const struct redis_member *redis_object_at(const struct redis_object *object, uint32_t index);

#endif
