#include "redis_groups.h"

#include "base/error.h"
#include "base/memory.h"

#include "redis_command.h"
#include "redis_connection.h"
#include "redis_id.h"
#include "redis_info.h"

#include <hiredis/hiredis.h>

#include <stdlib.h>
#include <string.h>

#define COMPONENT "redis"

struct listing {
    const struct redis_source_options *options;
    struct redis_address address;
    struct redis_connection connection;
    char **found; /* streams, where the URL names none or a pattern */
    size_t found_count;
    strid_topic_fn topic_fn; /* one of the two */
    strid_group_fn group_fn;
    void *user;
    bool stopped; /* by the callback */
};

/* What a stream says of itself. */
struct stream {
    const char *name;
    struct redisReply *info;
    uint64_t length, added, groups;
    strid_position first, last; /* the oldest entry; the one that was added last */
    bool is_whole;              /* no entry was ever deleted from it */
};

static strid_status ask(struct listing *listing, const char *const *words,
                        struct redisReply **reply, strid_error *err)
{
    redis_command_put(&listing->connection.out, words);
    STRID_TRY(redis_connection_next(&listing->connection, reply, err));
    strid_status status = redis_reply_check(*reply, words[0], err);
    if (status == STRID_OK)
        return STRID_OK;
    return error_wrap(err, status, "%s of %s", words[2] == NULL ? words[1] : words[2],
                      listing->address.shown);
}

/* A server's lag is null after deletions, and in some versions wrong after them. So it is told
 * where it follows from the stream, or cannot contradict it. */
static uint64_t lag_of(const struct stream *stream, const struct redisReply *group,
                       strid_position current)
{
    if (stream->length == 0 || strid_position_compare(current, stream->last) >= 0)
        return 0; /* what was added last was delivered */
    if (strid_position_compare(current, stream->first) < 0)
        return stream->length; /* none of those that are there was */
    uint64_t lag = redis_info_number(group, "lag");
    uint64_t read = redis_info_number(group, "entries-read");
    if (lag == STRID_UNKNOWN || read == STRID_UNKNOWN || stream->added == STRID_UNKNOWN)
        return STRID_UNKNOWN;
    bool fits =
        lag > 0 && lag < stream->length && read <= stream->added && lag == stream->added - read;
    return fits && stream->is_whole ? lag : STRID_UNKNOWN;
}

static uint64_t dead_letters_of(struct listing *listing, const struct stream *stream,
                                const char *group)
{
    struct redisReply *reply = NULL;
    struct buffer name = {0};
    uint64_t count = STRID_UNKNOWN;
    bool one = listing->address.stream_count == 1;
    buffer_printf(&name, "%s-dlq", one ? stream->name : group);
    buffer_put_u8(&name, 0);
    redis_command_put(&listing->connection.out,
                      (const char *const[]){"XLEN", (const char *)name.data, NULL});
    if (redis_connection_next(&listing->connection, &reply, NULL) == STRID_OK &&
        reply->type == REDIS_REPLY_INTEGER) /* else it may not be looked at */
        count = (uint64_t)reply->integer;
    redis_reply_free(reply);
    buffer_fini(&name);
    return count;
}

static strid_status list_consumers(struct listing *listing, const strid_group_info *group,
                                   strid_error *err)
{
    struct redisReply *reply = NULL;
    strid_status status =
        ask(listing, (const char *const[]){"XINFO", "CONSUMERS", group->topic, group->group, NULL},
            &reply, err);
    for (size_t i = 0; status == STRID_OK && i < reply->elements && !listing->stopped; i++) {
        const struct redisReply *consumer = reply->element[i];
        strid_group_info info = {.group = group->group,
                                 .topic = group->topic,
                                 .is_pair = true,
                                 .is_member = true,
                                 .lag = STRID_UNKNOWN,
                                 .length = STRID_UNKNOWN,
                                 .dead_letters = STRID_UNKNOWN,
                                 .pending = redis_info_number(consumer, "pending"),
                                 .idle_ms = redis_info_number(consumer, "idle"),
                                 .consumer = redis_info_text(consumer, "name")};
        listing->stopped = !listing->group_fn(listing->user, &info);
    }
    redis_reply_free(reply);
    return status;
}

static strid_status list_group(struct listing *listing, const struct stream *stream,
                               const struct redisReply *group, strid_error *err)
{
    strid_group_info info = {.group = redis_info_text(group, "name"),
                             .topic = stream->name,
                             .is_pair = true,
                             .has_end = true,
                             .end = stream->last,
                             .length = stream->length,
                             .pending = redis_info_number(group, "pending"),
                             .idle_ms = STRID_UNKNOWN};
    const char *wanted = listing->options->group;
    if (wanted != NULL && strcmp(wanted, info.group) != 0)
        return STRID_OK;
    info.has_current = redis_info_position(group, "last-delivered-id", &info.current);
    info.lag = info.has_current ? lag_of(stream, group, info.current) : STRID_UNKNOWN;
    info.dead_letters = dead_letters_of(listing, stream, info.group);
    STRID_TRY(redis_connection_open(&listing->connection, err));
    listing->stopped = !listing->group_fn(listing->user, &info);
    return listing->stopped ? STRID_OK : list_consumers(listing, &info, err);
}

static strid_status list_stream(struct listing *listing, const char *name, strid_error *err)
{
    struct stream stream = {.name = name};
    struct redisReply *groups = NULL;
    strid_position deleted = {0, 0};
    strid_status status =
        ask(listing, (const char *const[]){"XINFO", "STREAM", name, NULL}, &stream.info, err);
    if (stream.info != NULL && redis_reply_is_error(stream.info, "ERR")) /* no such key */
        status = error_set(err, STRID_ENOTFOUND, COMPONENT, "%s has no stream %s",
                           listing->address.shown, name);
    if (status == STRID_OK) {
        stream.length = redis_info_number(stream.info, "length");
        stream.added = redis_info_number(stream.info, "entries-added");
        stream.groups = redis_info_number(stream.info, "groups");
        (void)redis_info_position(stream.info, "last-generated-id", &stream.last);
        const struct redisReply *first = redis_info_member(stream.info, "first-entry");
        if (first != NULL && first->type == REDIS_REPLY_ARRAY && first->elements > 0)
            (void)redis_id_parse(redis_reply_bytes(first->element[0]), &stream.first);
        stream.is_whole = redis_info_position(stream.info, "max-deleted-entry-id", &deleted) &&
                          deleted.high == 0 && deleted.low == 0;
    }
    if (status == STRID_OK && listing->topic_fn != NULL)
        listing->stopped =
            !listing->topic_fn(listing->user, &(strid_topic_info){.topic = name,
                                                                  .partitions = 1,
                                                                  .records = stream.length,
                                                                  .groups = stream.groups,
                                                                  .without_leader = STRID_UNKNOWN});
    else if (status == STRID_OK)
        status = ask(listing, (const char *const[]){"XINFO", "GROUPS", name, NULL}, &groups, err);
    for (size_t i = 0; groups != NULL && status == STRID_OK && i < groups->elements; i++)
        if (!listing->stopped)
            status = list_group(listing, &stream, groups->element[i], err);
    redis_reply_free(groups);
    redis_reply_free(stream.info);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* SCAN may give a key twice. */
static void add_found(struct listing *listing, const struct redisReply *keys)
{
    for (size_t i = 0; keys->type == REDIS_REPLY_ARRAY && i < keys->elements; i++) {
        listing->found =
            memory_resize(listing->found, (listing->found_count + 1) * sizeof *listing->found);
        listing->found[listing->found_count++] = memory_copy_text(keys->element[i]->str);
    }
}

static strid_status find_streams(struct listing *listing, const char *pattern, strid_error *err)
{
    struct buffer cursor = {0};
    bool more = true;
    strid_status status = STRID_OK;
    buffer_put(&cursor, "0", 2);
    while (more && status == STRID_OK) {
        struct redisReply *reply = NULL;
        status = ask(listing,
                     (const char *const[]){"SCAN", (const char *)cursor.data, "MATCH", pattern,
                                           "COUNT", "1000", "TYPE", "stream", NULL},
                     &reply, err);
        more = status == STRID_OK && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
        if (more) {
            add_found(listing, reply->element[1]);
            buffer_clear(&cursor);
            buffer_put_bytes(&cursor, redis_reply_bytes(reply->element[0]));
            buffer_put_u8(&cursor, 0);
            more = strcmp((const char *)cursor.data, "0") != 0;
        }
        redis_reply_free(reply);
    }
    buffer_fini(&cursor);
    return status;
}

static strid_status list_streams(struct listing *listing, strid_error *err)
{
    STRID_TRY(redis_connection_open(&listing->connection, err));
    for (uint32_t i = 0; i < listing->address.stream_count; i++) {
        const char *name = listing->address.streams[i];
        if (strchr(name, '*') != NULL)
            STRID_TRY(find_streams(listing, name, err));
        else if (!listing->stopped)
            STRID_TRY(list_stream(listing, name, err));
    }
    if (listing->found_count > 0)
        qsort(listing->found, listing->found_count, sizeof *listing->found, by_name);
    for (size_t i = 0; i < listing->found_count && !listing->stopped; i++)
        if (i == 0 || strcmp(listing->found[i - 1], listing->found[i]) != 0)
            STRID_TRY(list_stream(listing, listing->found[i], err));
    return STRID_OK;
}

/* A URL that names no stream means all of them. */
static char *complete(const strid_connector_args *args)
{
    const char *target = args->target;
    const char *path = strncmp(target, "//", 2) == 0 ? strchrnul(target + 2, '/') : "x";
    if (redis_address_has_sentinels(args->scheme) && *path == '/') /* the master's name */
        path = strchrnul(path + 1, '/');
    struct buffer text = {0};
    buffer_printf(&text, "%s%s", target, *path == '\0' ? "/*" : path[1] == '\0' ? "*" : "");
    buffer_put_u8(&text, 0);
    return (char *)text.data;
}

static strid_status list(struct listing *listing, const strid_connector_args *args,
                         strid_error *err)
{
    char *target = complete(args);
    listing->options = args->options;
    strid_status status = redis_address_parse(&listing->address, args->scheme, target,
                                              &listing->options->server, err);
    if (status == STRID_OK) {
        redis_connection_init(&listing->connection, &listing->address, args->pipeline);
        status = list_streams(listing, err);
        redis_connection_fini(&listing->connection);
        redis_address_fini(&listing->address);
    }
    for (size_t i = 0; i < listing->found_count; i++)
        memory_free(listing->found[i]);
    memory_free(listing->found);
    explicit_bzero(target, strlen(target));
    memory_free(target);
    return status;
}

strid_status redis_groups_topics(const strid_connector_args *args, strid_topic_fn fn, void *user,
                                 strid_error *err)
{
    return list(&(struct listing){.topic_fn = fn, .user = user}, args, err);
}

strid_status redis_groups_list(const strid_connector_args *args, strid_group_fn fn, void *user,
                               strid_error *err)
{
    return list(&(struct listing){.group_fn = fn, .user = user}, args, err);
}
