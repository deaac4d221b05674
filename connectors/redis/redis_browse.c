#include "redis_browse.h"

#include "base/error.h"
#include "base/log.h"

#include "redis_command.h"
#include "redis_connection.h"
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
    uint64_t passed_over;
    bool ended;
};

static void take_page(struct browse *browse, const struct redisReply *page)
{
    for (size_t i = 0; i < page->elements && !browse->ended; i++) {
        const struct redisReply *entry = page->element[i];
        if (redis_letter_parse(&browse->letter, entry))
            browse->ended = !browse->fn(browse->user, &browse->letter.output);
        else
            browse->passed_over++;
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
    return status;
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
