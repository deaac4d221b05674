#include "redis_reply.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"

#include "redis_entries.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <string.h>

#define COMPONENT "redis"

enum { ITEM_BYTES_MIN = 4 }; /* the shortest item on the wire: ":0\r\n" */

/* hiredis' own functions, which build redisReply, with a check before memory is taken for what an
 * array merely announces: no honest reply announces more items than its bytes can hold. */
struct redis_functions {
    redisReplyObjectFunctions checked, usual;
};

struct redisReply redis_reply_taken = {.type = 0}; /* which is no type of hiredis */

/* Whether the item belongs to a reply whose entries are taken: any but an answer that is no array
 * (an error; nil where a read came to nothing). */
static bool is_taken(const redisReadTask *task)
{
    const struct redis_replies *replies = task->privdata;
    return replies->entries != NULL && task->parent != NULL &&
           replies->entries->shape != REDIS_ENTRIES_NONE;
}

static int outer_of(const redisReadTask *task)
{
    return task->parent == NULL ? 0 : task->parent->idx;
}

static void *create_array(const redisReadTask *task, int count)
{
    struct redis_replies *replies = task->privdata;
    replies->items += (uint64_t)count;
    if (replies->items > replies->bytes_max / ITEM_BYTES_MIN)
        return NULL;
    if (replies->entries == NULL || replies->entries->shape == REDIS_ENTRIES_NONE)
        return replies->functions->usual.createArray(task, count);
    redis_entries_array(replies->entries, replies->reader->ridx, outer_of(task), (size_t)count);
    return &redis_reply_taken;
}

static void *create_string(const redisReadTask *task, char *text, size_t len)
{
    struct redis_replies *replies = task->privdata;
    if (!is_taken(task))
        return replies->functions->usual.createString(task, text, len);
    redis_entries_text(replies->entries, replies->reader->ridx, outer_of(task), task->idx,
                       strid_bytes_of(text, len));
    return &redis_reply_taken;
}

static void *create_nil(const redisReadTask *task)
{
    struct redis_replies *replies = task->privdata;
    if (!is_taken(task))
        return replies->functions->usual.createNil(task);
    redis_entries_nil(replies->entries, replies->reader->ridx, outer_of(task), task->idx);
    return &redis_reply_taken;
}

static void *create_integer(const redisReadTask *task, long long value)
{
    struct redis_replies *replies = task->privdata;
    return is_taken(task) ? &redis_reply_taken
                          : replies->functions->usual.createInteger(task, value);
}

static void free_object(void *object)
{
    if (object != &redis_reply_taken)
        freeReplyObject(object);
}

void redis_replies_init(struct redis_replies *replies, uint64_t bytes_max)
{
    *replies = (struct redis_replies){.reader = redisReaderCreate(), .bytes_max = bytes_max};
    STRID_ASSERT(replies->reader != NULL);
    replies->functions = memory_alloc(sizeof *replies->functions);
    replies->functions->usual = *replies->reader->fn;
    replies->functions->checked = (redisReplyObjectFunctions){.createString = create_string,
                                                              .createArray = create_array,
                                                              .createInteger = create_integer,
                                                              .createNil = create_nil,
                                                              .freeObject = free_object};
    replies->reader->fn = &replies->functions->checked;
    replies->reader->privdata = replies;
    replies->reader->maxbuf = 0; /* keeps its buffer */
}

void redis_replies_fini(struct redis_replies *replies)
{
    if (replies->reader != NULL)
        redisReaderFree(replies->reader);
    memory_free(replies->functions);
    replies->reader = NULL;
    replies->functions = NULL;
}

strid_status redis_replies_feed(struct redis_replies *replies, const void *data, size_t len,
                                strid_error *err)
{
    replies->bytes_waiting += len;
    if (redisReaderFeed(replies->reader, data, len) == REDIS_OK)
        return STRID_OK;
    return error_set(err, STRID_EIO, COMPONENT, "the reply is not readable: %s",
                     replies->reader->errstr);
}

static strid_status too_large(const struct redis_replies *replies, strid_error *err)
{
    return error_set(err, STRID_ELIMIT, COMPONENT,
                     "a reply is larger than %" PRIu64 " bytes: raise \"max_reply\", or have less "
                     "asked for at a time",
                     replies->bytes_max);
}

strid_status redis_replies_next(struct redis_replies *replies, struct redisReply **out,
                                strid_error *err)
{
    void *reply = NULL;
    *out = NULL;
    if (redisReaderGetReply(replies->reader, &reply) != REDIS_OK) {
        if (replies->reader->err == REDIS_ERR_OOM)
            return too_large(replies, err);
        return error_set(err, STRID_EIO, COMPONENT, "what answers does not speak Redis: %s",
                         replies->reader->errstr);
    }
    if (reply == NULL)
        return replies->bytes_waiting > replies->bytes_max ? too_large(replies, err) : STRID_AGAIN;
    /* what is left belongs to the replies behind it */
    replies->bytes_waiting = replies->reader->len - replies->reader->pos;
    replies->items = 0;
    *out = reply;
    return STRID_OK;
}

void redis_reply_free(struct redisReply *reply)
{
    if (reply != NULL)
        free_object(reply);
}

bool redis_reply_is_error(const struct redisReply *reply, const char *code)
{
    size_t len = strlen(code);
    return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, code, len) == 0 &&
           (reply->str[len] == ' ' || reply->str[len] == '\0');
}

static const char full[] = "ERR max number of clients reached";

bool redis_reply_is_full(const struct redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR && strcmp(reply->str, full) == 0;
}

static const struct {
    const char *code;
    strid_status status;
    uint32_t flags;
    const char *advice;
} meanings[] = {
    {"NOAUTH", STRID_ECONFIG, 0, "give a password"},
    {"WRONGPASS", STRID_ECONFIG, 0, "check user and password"},
    {"NOPERM", STRID_ECONFIG, 0, "let the user's ACL allow it"},
    {"WRONGTYPE", STRID_ECONFIG, 0, "the key holds something else than a stream"},
    {"OOM", STRID_ENOSPC, STRID_ERROR_RETRIABLE, "the server's maxmemory is reached"},
    {"MISCONF", STRID_EIO, STRID_ERROR_RETRIABLE, "the server cannot save to its disk"},
    {"LOADING", STRID_EUNREACHABLE, STRID_ERROR_RETRIABLE, "it will be ready soon"},
    {"BUSY", STRID_EUNREACHABLE, STRID_ERROR_RETRIABLE, "a script occupies it"},
    {"TRYAGAIN", STRID_EUNREACHABLE, STRID_ERROR_RETRIABLE, "the cluster moves the key"},
    {"CLUSTERDOWN", STRID_EUNREACHABLE, STRID_ERROR_RETRIABLE, "the cluster is down"},
    {"MASTERDOWN", STRID_EUNREACHABLE, STRID_ERROR_RETRIABLE, "its master is down"},
    {"NOREPLICAS", STRID_EUNREACHABLE, STRID_ERROR_RETRIABLE, "too few replicas answer"},
    {"READONLY", STRID_EUNREACHABLE, STRID_ERROR_RETRIABLE, "it is a replica: name the master"},
    {full, STRID_EUNREACHABLE, STRID_ERROR_RETRIABLE, "others may leave; or raise its maxclients"},
    {"MOVED", STRID_EUNSUPPORTED, 0, "the key is on another node of the cluster: name that one"},
};

strid_status redis_reply_check(const struct redisReply *reply, const char *what, strid_error *err)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return STRID_OK;
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (!redis_reply_is_error(reply, meanings[i].code))
            continue;
        strid_status status = error_set(err, meanings[i].status, COMPONENT, "%s: %.200s (%s)", what,
                                        reply->str, meanings[i].advice);
        if (err != NULL)
            err->flags |= meanings[i].flags;
        return status;
    }
    return error_set(err, STRID_EIO, COMPONENT, "%s: %.200s", what, reply->str);
}

strid_bytes redis_reply_bytes(const struct redisReply *reply)
{
    if (reply == NULL || (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS))
        return strid_bytes_of(NULL, 0);
    return strid_bytes_of(reply->str, reply->len);
}
