/* The fields of an entry, made again of what a record became of them. */
#ifndef REDIS_FIELDS_H
#define REDIS_FIELDS_H

#include <strid/sink.h>

#include "base/buffer.h"

#include "redis_config.h"
#include "redis_letter.h"
#include "redis_object.h"

/* Memory that is used again. Zero is empty. */
struct redis_fields {
    struct buffer list; /* strid_header */
    struct redis_object object;
};

void redis_fields_fini(struct redis_fields *fields);

/* As they stood before the entry was dead-lettered; they live as long as `letter` and until the
 * next call. False: the letter does not hold them. */
bool redis_fields_restore(struct redis_fields *fields, const struct redis_source_options *options,
                          const struct redis_letter *letter, const struct redisReply *entry);
uint32_t redis_fields_count(const struct redis_fields *fields);
const strid_header *redis_fields_at(const struct redis_fields *fields, uint32_t index);

#endif
