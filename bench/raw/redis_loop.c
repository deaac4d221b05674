#include "redis_loop.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 1000, OUTSTANDING = 4, ACK_WORDS = 3 };

struct redis_loop {
    redisContext *context;
    const char *stream;
    uint64_t entries;
    uint64_t answers_due; /* of acknowledgements */
    const char *words[ACK_WORDS + COUNT];
    size_t lens[ACK_WORDS + COUNT];
};

static void ask(struct redis_loop *loop)
{
    (void)redisAppendCommand(loop->context, "XREADGROUP GROUP g raw COUNT %d STREAMS %s >", COUNT,
                             loop->stream);
}

static void set_word(struct redis_loop *loop, size_t at, const char *word, size_t len)
{
    loop->words[at] = word;
    loop->lens[at] = len;
}

/* Acknowledges the entries of a reply with one command. */
static void acknowledge(struct redis_loop *loop, const redisReply *entries)
{
    set_word(loop, 0, "XACK", 4);
    set_word(loop, 1, loop->stream, strlen(loop->stream));
    set_word(loop, 2, "g", 1);
    for (size_t i = 0; i < entries->elements; i++)
        set_word(loop, ACK_WORDS + i, entries->element[i]->element[0]->str,
                 entries->element[i]->element[0]->len);
    (void)redisAppendCommandArgv(loop->context, (int)(ACK_WORDS + entries->elements), loop->words,
                                 loop->lens);
    loop->answers_due++;
}

/* The next answer: 1 entries came and are acknowledged, 0 none are left, 2 an acknowledgement's;
 * -1: it failed. */
static int step(struct redis_loop *loop)
{
    void *answer = NULL;
    if (redisGetReply(loop->context, &answer) != REDIS_OK)
        return measure_failed("raw_hiredis", loop->context->errstr);
    redisReply *reply = answer;
    int what = 2;
    if (reply->type == REDIS_REPLY_ERROR) {
        what = measure_failed("raw_hiredis", reply->str);
    } else if (reply->type == REDIS_REPLY_NIL) {
        what = 0;
    } else if (reply->type == REDIS_REPLY_ARRAY) {
        const redisReply *entries = reply->element[0]->element[1];
        loop->entries += entries->elements;
        acknowledge(loop, entries);
        what = 1;
    } else {
        loop->answers_due--;
    }
    freeReplyObject(reply);
    return what;
}

static int run(struct redis_loop *loop, enum redis_loop_form form)
{
    int reads = 0;
    const int outstanding = form == REDIS_LOOP_PIPELINED ? OUTSTANDING : 1;
    bool is_end = false;
    while (!is_end || reads > 0 || loop->answers_due > 0) {
        bool waits = form == REDIS_LOOP_WAITING && loop->answers_due > 0;
        while (!is_end && !waits && reads < outstanding) {
            ask(loop);
            reads++;
        }
        int what = step(loop);
        if (what < 0)
            return -1;
        reads -= what != 2;
        is_end = is_end || what == 0;
    }
    return 0;
}

int redis_loop_read(const char *socket, const char *stream, enum redis_loop_form form,
                    struct bench_run *out)
{
    struct redis_loop loop = {.context = redisConnectUnix(socket), .stream = stream};
    if (loop.context == NULL || loop.context->err != 0)
        return measure_failed("raw_hiredis", "no connection");
    loop.context->reader->maxbuf = 0;
    double cpu_s = measure_cpu_s();
    double wall_s = measure_wall_s();
    int result = run(&loop, form);
    out->wall_s = measure_wall_s() - wall_s;
    out->cpu_s = measure_cpu_s() - cpu_s;
    out->records = loop.entries;
    redisFree(loop.context);
    return result;
}
