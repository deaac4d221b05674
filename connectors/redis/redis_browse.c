#include "redis_browse.h"

#include "base/error.h"
#include "base/log.h"

#include "redis_command.h"
#include "redis_connection.h"
#include "redis_id.h"
#include "redis_letter.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <string.h>

#define COMPONENT "redis"

static const char page_entries[] = "200"; /* letters may be large, and a reply has a limit */

struct browse {
    struct redis_address address;
    struct redis_connection connection;
    struct redis_letter letter;
    struct buffer from; /* "(" and the id of the last entry seen, terminated */
    bool (*fn)(void *user, const strid_output *letter);
    void *user;
    struct buffer chosen; /* a purge: struct chosen, of the page */
    uint64_t passed_over;
    bool is_purge;
    bool ended;
};

/* The id of an entry that goes, as the server wrote it. */
struct chosen {
    char id[REDIS_ID_MAX];
};

static void choose(struct browse *browse, strid_bytes id)
{
    struct chosen chosen = {{0}};
    if (id.len >= sizeof chosen.id || !browse->fn(browse->user, &browse->letter.output))
        return;
    memcpy(chosen.id, id.data, id.len);
    buffer_put(&browse->chosen, &chosen, sizeof chosen);
}

/* Those of one page, in one command: each is there or gone. */
static strid_status drop_chosen(struct browse *browse, strid_error *err)
{
    struct redisReply *reply = NULL;
    uint32_t count = (uint32_t)(browse->chosen.len / sizeof(struct chosen));
    if (count == 0)
        return STRID_OK;
    redis_command_begin(&browse->connection.out, 2 + count);
    redis_command_text(&browse->connection.out, "XDEL");
    redis_command_text(&browse->connection.out, browse->address.stream);
    for (uint32_t i = 0; i < count; i++)
        redis_command_text(&browse->connection.out,
                           ((const struct chosen *)(const void *)browse->chosen.data)[i].id);
    buffer_clear(&browse->chosen);
    STRID_TRY(redis_connection_next(&browse->connection, &reply, err));
    strid_status status = redis_reply_check(reply, "XDEL", err);
    redis_reply_free(reply);
    return status;
}

static void take_page(struct browse *browse, const struct redisReply *page)
{
    for (size_t i = 0; i < page->elements && !browse->ended; i++) {
        const struct redisReply *entry = page->element[i];
        if (!redis_letter_parse(&browse->letter, entry))
            browse->passed_over++;
        else if (browse->is_purge)
            choose(browse, redis_reply_bytes(entry->element[0]));
        else
            browse->ended = !browse->fn(browse->user, &browse->letter.output);
        if (entry->type != REDIS_REPLY_ARRAY || entry->elements == 0)
            continue;
        buffer_clear(&browse->from);
        buffer_put_u8(&browse->from, '(');
        buffer_put_bytes(&browse->from, redis_reply_bytes(entry->element[0]));
        buffer_put_u8(&browse->from, 0);
    }
    browse->ended = browse->ended || page->elements == 0;
}

static strid_status browse_page(struct browse *browse, strid_error *err)
{
    struct redisReply *page = NULL;
    const char *from = browse->from.len == 0 ? "-" : (const char *)browse->from.data;
    redis_command_put(&browse->connection.out,
                      (const char *const[]){"XRANGE", browse->address.stream, from, "+", "COUNT",
                                            page_entries, NULL});
    STRID_TRY(redis_connection_next(&browse->connection, &page, err));
    strid_status status = redis_reply_check(page, "XRANGE", err);
    if (status != STRID_OK)
        (void)error_wrap(err, status, "stream %s of %s", browse->address.stream,
                         browse->address.shown);
    else if (page->type != REDIS_REPLY_ARRAY)
        status = error_set(err, STRID_EIO, COMPONENT, "%s: XRANGE has an answer that is no list",
                           browse->address.shown);
    else
        take_page(browse, page);
    redis_reply_free(page);
    return status == STRID_OK ? drop_chosen(browse, err) : status;
}

static strid_status browse_scheme(const char *scheme, const strid_connector_args *args,
                                  struct browse *browse, strid_error *err)
{
    STRID_TRY(redis_address_parse(&browse->address, scheme, args->target,
                                  &((const struct redis_sink_options *)args->options)->server,
                                  err));
    redis_connection_init(&browse->connection, &browse->address, args->pipeline);
    strid_status status = redis_connection_open(&browse->connection, err);
    while (status == STRID_OK && !browse->ended)
        status = browse_page(browse, err);
    if (browse->passed_over > 0 && args->log != NULL)
        log_warn(args->log, COMPONENT,
                 "stream %s of %s: passed over what is no dead letter, entries: %" PRIu64,
                 browse->address.stream, browse->address.shown, browse->passed_over);
    redis_letter_fini(&browse->letter);
    buffer_fini(&browse->from);
    buffer_fini(&browse->chosen);
    redis_connection_fini(&browse->connection);
    redis_address_fini(&browse->address);
    return status;
}

strid_status redis_browse(const strid_connector_args *args,
                          bool (*fn)(void *user, const strid_output *letter), void *user,
                          strid_error *err)
{
    return browse_scheme("redis", args, &(struct browse){.fn = fn, .user = user}, err);
}

strid_status redis_browse_tls(const strid_connector_args *args,
                              bool (*fn)(void *user, const strid_output *letter), void *user,
                              strid_error *err)
{
    return browse_scheme("rediss", args, &(struct browse){.fn = fn, .user = user}, err);
}

strid_status redis_purge(const strid_connector_args *args,
                         bool (*fn)(void *user, const strid_output *letter), void *user,
                         strid_error *err)
{
    return browse_scheme("redis", args, &(struct browse){.fn = fn, .user = user, .is_purge = true},
                         err);
}

strid_status redis_purge_tls(const strid_connector_args *args,
                             bool (*fn)(void *user, const strid_output *letter), void *user,
                             strid_error *err)
{
    return browse_scheme("rediss", args, &(struct browse){.fn = fn, .user = user, .is_purge = true},
                         err);
}
