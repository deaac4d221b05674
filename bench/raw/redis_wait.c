#include "redis_wait.h"

#include <hiredis/hiredis.h>
#include <string.h>

enum { COUNT = 1000, BLOCK_MS = 1000, SILENCES_MAX = 60, ACK_WORDS = 3, VALUE_AT = 3 };

struct waiter {
    redisContext *context;
    const char *stream;
    void (*fn)(void *user, const void *value, size_t len);
    void *user;
    uint64_t entries;
    const char *words[ACK_WORDS + COUNT];
    size_t lens[ACK_WORDS + COUNT];
};

static void ask(struct waiter *waiter)
{
    (void)redisAppendCommand(waiter->context,
                             "XREADGROUP GROUP g raw COUNT %d BLOCK %d STREAMS %s >", COUNT,
                             BLOCK_MS, waiter->stream);
}

static void set_word(struct waiter *waiter, size_t at, const char *word, size_t len)
{
    waiter->words[at] = word;
    waiter->lens[at] = len;
}

/* Handles the entries, then acknowledges them and asks for more in one go. */
static void take(struct waiter *waiter, const redisReply *entries)
{
    set_word(waiter, 0, "XACK", 4);
    set_word(waiter, 1, waiter->stream, strlen(waiter->stream));
    set_word(waiter, 2, "g", 1);
    for (size_t i = 0; i < entries->elements; i++) {
        const redisReply *id = entries->element[i]->element[0];
        const redisReply *value = entries->element[i]->element[1]->element[VALUE_AT];
        waiter->fn(waiter->user, value->str, value->len);
        set_word(waiter, ACK_WORDS + i, id->str, id->len);
    }
    waiter->entries += entries->elements;
    (void)redisAppendCommandArgv(waiter->context, (int)(ACK_WORDS + entries->elements),
                                 waiter->words, waiter->lens);
}

static redisReply *next(struct waiter *waiter)
{
    void *answer = NULL;
    if (redisGetReply(waiter->context, &answer) != REDIS_OK) {
        (void)measure_failed("raw_hiredis", waiter->context->errstr);
        return NULL;
    }
    redisReply *reply = answer;
    if (reply->type != REDIS_REPLY_ERROR)
        return reply;
    (void)measure_failed("raw_hiredis", reply->str);
    freeReplyObject(reply);
    return NULL;
}

/* The answer to a read, behind that of an acknowledgement where one was sent before it. */
static redisReply *next_read(struct waiter *waiter)
{
    redisReply *reply = next(waiter);
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER)
        return reply;
    freeReplyObject(reply);
    return next(waiter);
}

static int run(struct waiter *waiter, uint64_t entries)
{
    redisReply *reply = NULL;
    for (int silences = 0; waiter->entries < entries && silences < SILENCES_MAX; silences++) {
        ask(waiter);
        reply = next_read(waiter);
        if (reply == NULL)
            return -1;
        if (reply->type == REDIS_REPLY_ARRAY) {
            take(waiter, reply->element[0]->element[1]);
            silences = 0;
        }
        freeReplyObject(reply);
    }
    reply = waiter->entries < entries ? NULL : next(waiter); /* the last acknowledgement */
    if (reply == NULL)
        return measure_failed("raw_hiredis", "not every entry came");
    freeReplyObject(reply);
    return 0;
}

int redis_wait_loop(const char *socket, const char *stream, uint64_t entries,
                    void (*fn)(void *user, const void *value, size_t len), void *user,
                    struct bench_run *out)
{
    struct waiter waiter = {
        .context = redisConnectUnix(socket), .stream = stream, .fn = fn, .user = user};
    if (waiter.context == NULL || waiter.context->err != 0)
        return measure_failed("raw_hiredis", "no connection");
    waiter.context->reader->maxbuf = 0;
    (void)redisAppendCommand(waiter.context, "XGROUP CREATE %s g 0 MKSTREAM", stream);
    redisReply *made = next(&waiter);
    double cpu_s = measure_cpu_s();
    double wall_s = measure_wall_s();
    int result = made == NULL ? -1 : run(&waiter, entries);
    out->wall_s = measure_wall_s() - wall_s;
    out->cpu_s = measure_cpu_s() - cpu_s;
    out->records = waiter.entries;
    if (made != NULL)
        freeReplyObject(made);
    redisFree(waiter.context);
    return result;
}
