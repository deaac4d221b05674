/* Members of what XINFO answers: flat lists of names and values. @thread any */
#ifndef REDIS_INFO_H
#define REDIS_INFO_H

#include <strid/source.h>

#include "redis_reply.h"

const struct redisReply *redis_info_member(const struct redisReply *reply, const char *name);
uint64_t redis_info_number(const struct redisReply *reply, const char *name); /* or STRID_UNKNOWN */
/* false: it has no such member, and *out is 0-0. */
bool redis_info_position(const struct redisReply *reply, const char *name, strid_position *out);
const char *redis_info_text(const struct redisReply *reply, const char *name); /* or "" */

#endif
