#include "redis_sentinel.h"

#include "base/error.h"

#include "redis_command.h"
#include "redis_connection.h"

#include <hiredis/hiredis.h>

#include <stdio.h>
#include <string.h>

#define COMPONENT "redis"

static bool copy(strid_bytes text, char *out, size_t size)
{
    if (text.len == 0 || text.len >= size || memchr(text.data, 0, text.len) != NULL)
        return false;
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return true;
}

static strid_status retriable(strid_error *err)
{
    err->flags |= STRID_ERROR_RETRIABLE;
    return err->status;
}

void redis_sentinel_ask(struct buffer *out, const char *name)
{
    redis_command_put(out,
                      (const char *const[]){"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name, NULL});
}

/* [host, port], or nil where the sentinel does not know the master. */
strid_status redis_sentinel_take(const struct redisReply *reply,
                                 struct redis_sentinel_master *master, strid_error *err)
{
    STRID_TRY(redis_reply_check(reply, "SENTINEL GET-MASTER-ADDR-BY-NAME", err));
    if (reply->type == REDIS_REPLY_NIL) {
        (void)error_set(err, STRID_EUNREACHABLE, COMPONENT,
                        "it knows no master of that name: see \"SENTINEL MASTERS\"");
        return retriable(err);
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !copy(redis_reply_bytes(reply->element[0]), master->host, sizeof master->host) ||
        !copy(redis_reply_bytes(reply->element[1]), master->port, sizeof master->port))
        return error_set(err, STRID_EIO, COMPONENT, "its answer is no address");
    return STRID_OK;
}

static strid_status ask(const struct redis_address *sentinel, const char *name,
                        struct redis_sentinel_master *master, strid_error *err)
{
    struct redis_connection connection;
    struct redisReply *reply = NULL;
    redis_connection_init(&connection, sentinel, NULL);
    strid_status status = redis_connection_open(&connection, err);
    if (status == STRID_OK) {
        redis_sentinel_ask(&connection.out, name);
        status = redis_connection_next(&connection, &reply, err);
    }
    if (status == STRID_OK && redis_sentinel_take(reply, master, err) != STRID_OK)
        status = error_wrap(err, STRID_EUNREACHABLE, "%s", sentinel->shown);
    redis_reply_free(reply);
    redis_connection_fini(&connection);
    return status;
}

strid_status redis_sentinel_find(const struct redis_address *address,
                                 struct redis_sentinel_master *master, strid_error *err)
{
    uint32_t passing =
        0; /* retriable where that holds for one of them: it may be the one to know */
    for (uint32_t i = 0; i < address->sentinel_count; i++) {
        const uint32_t at = (master->sentinel + i) % address->sentinel_count;
        strid_error own = STRID_ERROR_INIT;
        if (ask(&address->sentinels[at], address->master, master, &own) == STRID_OK) {
            master->sentinel = at;
            (void)snprintf(master->shown, sizeof master->shown, "master %s:%s", master->host,
                           master->port);
            return STRID_OK;
        }
        passing |= own.flags & STRID_ERROR_RETRIABLE;
        *err = own;
    }
    err->flags |= passing;
    return err->status;
}

void redis_sentinel_doubt(const struct redis_address *address, struct redis_sentinel_master *master)
{
    master->sentinel = (master->sentinel + 1) % address->sentinel_count;
}
