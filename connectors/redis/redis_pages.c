#include "redis_pages.h"

#include "base/error.h"
#include "base/log.h"

#include "redis_command.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>

#define COMPONENT "redis"

static const char page_entries[] = "200"; /* letters may be large, and a reply has a limit */

static strid_status take_page(struct redis_pages *pages, const struct redisReply *page,
                              strid_error *err)
{
    for (size_t i = 0; i < page->elements && !pages->is_ended; i++) {
        const struct redisReply *entry = page->element[i];
        if (redis_letter_parse(&pages->letter, entry))
            STRID_TRY(pages->see(pages, entry, err));
        else
            pages->passed_over++;
        if (entry->type != REDIS_REPLY_ARRAY || entry->elements == 0)
            continue;
        buffer_clear(&pages->from);
        buffer_put_u8(&pages->from, '(');
        buffer_put_bytes(&pages->from, redis_reply_bytes(entry->element[0]));
        buffer_put_u8(&pages->from, 0);
    }
    pages->is_ended = pages->is_ended || page->elements == 0;
    return pages->end == NULL ? STRID_OK : pages->end(pages, err);
}

static strid_status walk_page(struct redis_pages *pages, strid_error *err)
{
    struct redisReply *page = NULL;
    const char *from = pages->from.len == 0 ? "-" : (const char *)pages->from.data;
    redis_command_put(&pages->connection.out,
                      (const char *const[]){"XRANGE", pages->address.stream, from, "+", "COUNT",
                                            page_entries, NULL});
    STRID_TRY(redis_connection_next(&pages->connection, &page, err));
    strid_status status = redis_reply_check(page, "XRANGE", err);
    if (status != STRID_OK)
        (void)error_wrap(err, status, "stream %s of %s", pages->address.stream,
                         pages->address.shown);
    else if (page->type != REDIS_REPLY_ARRAY)
        status = error_set(err, STRID_EIO, COMPONENT, "%s: XRANGE has an answer that is no list",
                           pages->address.shown);
    else
        status = take_page(pages, page, err);
    redis_reply_free(page);
    return status;
}

strid_status redis_pages_walk(struct redis_pages *pages, const strid_connector_args *args,
                              strid_error *err)
{
    STRID_TRY(redis_address_parse(&pages->address, args->scheme, args->target,
                                  &((const struct redis_sink_options *)args->options)->server,
                                  err));
    redis_connection_init(&pages->connection, &pages->address, args->pipeline);
    strid_status status = redis_connection_open(&pages->connection, err);
    while (status == STRID_OK && !pages->is_ended)
        status = walk_page(pages, err);
    if (pages->passed_over > 0 && args->log != NULL)
        log_warn(args->log, COMPONENT,
                 "stream %s of %s: passed over what is no dead letter, entries: %" PRIu64,
                 pages->address.stream, pages->address.shown, pages->passed_over);
    redis_letter_fini(&pages->letter);
    buffer_fini(&pages->from);
    redis_connection_fini(&pages->connection);
    redis_address_fini(&pages->address);
    return status;
}
