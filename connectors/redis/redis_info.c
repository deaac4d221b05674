#include "redis_info.h"

#include "redis_id.h"

#include <hiredis/hiredis.h>

const struct redisReply *redis_info_member(const struct redisReply *reply, const char *name)
{
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2)
        if (strid_bytes_equal(redis_reply_bytes(reply->element[i]), strid_bytes_of_text(name)))
            return reply->element[i + 1];
    return NULL;
}

uint64_t redis_info_number(const struct redisReply *reply, const char *name)
{
    const struct redisReply *found = redis_info_member(reply, name);
    return found == NULL || found->type != REDIS_REPLY_INTEGER || found->integer < 0
               ? STRID_UNKNOWN
               : (uint64_t)found->integer;
}

bool redis_info_position(const struct redisReply *reply, const char *name, strid_position *out)
{
    const struct redisReply *found = redis_info_member(reply, name);
    *out = (strid_position){0, 0};
    return found != NULL && redis_id_parse(redis_reply_bytes(found), out);
}

const char *redis_info_text(const struct redisReply *reply, const char *name)
{
    const struct redisReply *found = redis_info_member(reply, name);
    return found == NULL || found->type != REDIS_REPLY_STRING ? "" : found->str;
}
