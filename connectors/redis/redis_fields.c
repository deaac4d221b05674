#include "redis_fields.h"

#include "redis_reply.h"

#include <hiredis/hiredis.h>

void redis_fields_fini(struct redis_fields *fields)
{
    buffer_fini(&fields->list);
    redis_object_fini(&fields->object);
}

uint32_t redis_fields_count(const struct redis_fields *fields)
{
    return (uint32_t)(fields->list.len / sizeof(strid_header));
}

const strid_header *redis_fields_at(const struct redis_fields *fields, uint32_t index)
{
    return (const strid_header *)(const void *)fields->list.data + index;
}

static void put(struct redis_fields *fields, strid_bytes name, strid_bytes value)
{
    buffer_put(&fields->list, &(strid_header){.name = name, .value = value}, sizeof(strid_header));
}

/* An object of texts, as redis_record makes it of the fields. */
static bool restore_object(struct redis_fields *fields, strid_bytes json)
{
    if (!redis_object_read(&fields->object, json))
        return false;
    for (uint32_t i = 0; i < redis_object_count(&fields->object); i++) {
        const struct redis_member *member = redis_object_at(&fields->object, i);
        if (!member->is_text)
            return false;
        put(fields, member->field.name, member->field.value);
    }
    return true;
}

static bool restore_own(struct redis_fields *fields, const struct redis_source_options *options,
                        const strid_output *letter)
{
    if (options->field == NULL && letter->value.data != NULL)
        return restore_object(fields, letter->value);
    for (uint32_t i = 0; i < letter->header_count; i++)
        put(fields, letter->headers[i].name, letter->headers[i].value);
    if (options->field != NULL && options->key_field != NULL && letter->key.data != NULL)
        put(fields, strid_bytes_of_text(options->key_field), letter->key);
    if (options->field != NULL && letter->value.data != NULL)
        put(fields, strid_bytes_of_text(options->field), letter->value);
    return true;
}

bool redis_fields_restore(struct redis_fields *fields, const struct redis_source_options *options,
                          const struct redis_letter *letter, const struct redisReply *entry)
{
    const struct redisReply *all = entry->element[1];
    buffer_clear(&fields->list);
    if (redis_letter_is_own(letter))
        return restore_own(fields, options, &letter->output) && fields->list.len > 0;
    for (size_t i = 0; i + 1 < all->elements; i += 2)
        if (redis_letter_is_of_record(letter, redis_reply_bytes(all->element[i])))
            put(fields, redis_reply_bytes(all->element[i]), redis_reply_bytes(all->element[i + 1]));
    return fields->list.len > 0;
}
