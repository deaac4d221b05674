#include "redis_browse.h"

#include "base/error.h"

#include "redis_command.h"
#include "redis_id.h"
#include "redis_pages.h"

#include <hiredis/hiredis.h>

#include <string.h>

struct browse {
    bool (*fn)(void *user, const strid_output *letter);
    void *user;
    struct buffer chosen; /* a purge: struct chosen, of the page */
};

/* The id of an entry that goes, as the server wrote it. */
struct chosen {
    char id[REDIS_ID_MAX];
};

static strid_status show(struct redis_pages *pages, const struct redisReply *entry,
                         strid_error *err)
{
    const struct browse *browse = pages->user;
    (void)entry;
    (void)err;
    pages->is_ended = !browse->fn(browse->user, &pages->letter.output);
    return STRID_OK;
}

static strid_status choose(struct redis_pages *pages, const struct redisReply *entry,
                           strid_error *err)
{
    struct browse *browse = pages->user;
    struct chosen chosen = {{0}};
    strid_bytes id = redis_reply_bytes(entry->element[0]);
    (void)err;
    if (id.len >= sizeof chosen.id || !browse->fn(browse->user, &pages->letter.output))
        return STRID_OK;
    memcpy(chosen.id, id.data, id.len);
    buffer_put(&browse->chosen, &chosen, sizeof chosen);
    return STRID_OK;
}

/* Those of one page, in one command: each is there or gone. */
static strid_status drop_chosen(struct redis_pages *pages, strid_error *err)
{
    struct browse *browse = pages->user;
    struct buffer *out = &pages->connection.out;
    struct redisReply *reply = NULL;
    uint32_t count = (uint32_t)(browse->chosen.len / sizeof(struct chosen));
    if (count == 0)
        return STRID_OK;
    redis_command_begin(out, 2 + count);
    redis_command_text(out, "XDEL");
    redis_command_text(out, pages->address.stream);
    for (uint32_t i = 0; i < count; i++)
        redis_command_text(out, ((const struct chosen *)(const void *)browse->chosen.data)[i].id);
    buffer_clear(&browse->chosen);
    STRID_TRY(redis_connection_next(&pages->connection, &reply, err));
    strid_status status = redis_reply_check(reply, "XDEL", err);
    redis_reply_free(reply);
    return status;
}

strid_status redis_browse(const strid_connector_args *args,
                          bool (*fn)(void *user, const strid_output *letter), void *user,
                          strid_error *err)
{
    struct browse browse = {.fn = fn, .user = user};
    struct redis_pages pages = {.see = show, .user = &browse};
    return redis_pages_walk(&pages, args, err);
}

strid_status redis_purge(const strid_connector_args *args,
                         bool (*fn)(void *user, const strid_output *letter), void *user,
                         struct strid_dlq_purged *result, strid_error *err)
{
    (void)result; /* nothing is kept */
    struct browse browse = {.fn = fn, .user = user};
    struct redis_pages pages = {.see = choose, .end = drop_chosen, .user = &browse};
    strid_status status = redis_pages_walk(&pages, args, err);
    buffer_fini(&browse.chosen);
    return status;
}
