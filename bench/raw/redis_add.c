#include "redis_add.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "raw/keys.h"

/* While the server works on one batch, the next is made and sent: two are always on the way. */
enum { BATCH = 500, WORDS = 7, KEY_MAX = 32, VALUE_MAX = 4096 };

struct adder {
    redisContext *context;
    struct keys keys;
    const char *words[WORDS];
    size_t lens[WORDS];
    char key[KEY_MAX];
    char value[VALUE_MAX];
};

static void set_word(struct adder *adder, size_t at, const char *word, size_t len)
{
    adder->words[at] = word;
    adder->lens[at] = len;
}

static int send_batch(struct adder *adder, uint64_t count)
{
    int done = 0;
    for (uint64_t i = 0; i < count; i++) {
        int len = snprintf(adder->key, sizeof adder->key, "c%011" PRIu64, keys_next(&adder->keys));
        set_word(adder, 4, adder->key, (size_t)len);
        (void)redisAppendCommandArgv(adder->context, WORDS, adder->words, adder->lens);
    }
    while (done == 0)
        if (redisBufferWrite(adder->context, &done) != REDIS_OK)
            return measure_failed("raw_hiredis", adder->context->errstr);
    return 0;
}

static int take_batch(struct adder *adder, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        void *answer = NULL;
        if (redisGetReply(adder->context, &answer) != REDIS_OK)
            return measure_failed("raw_hiredis", adder->context->errstr);
        const redisReply *reply = answer;
        bool is_id = reply->type == REDIS_REPLY_STRING;
        freeReplyObject(answer);
        if (!is_id)
            return measure_failed("raw_hiredis", "an entry was refused");
    }
    return 0;
}

static int add_all(struct adder *adder, uint64_t entries)
{
    uint64_t sent = 0, taken = 0;
    while (taken < entries) {
        uint64_t more = entries - sent < BATCH ? entries - sent : BATCH;
        if (more > 0 && send_batch(adder, more) != 0)
            return -1;
        sent += more;
        uint64_t before = more > 0 ? sent - more : sent; /* all batches but the last */
        if (take_batch(adder, before - taken) != 0)
            return -1;
        taken = before;
    }
    return 0;
}

int redis_add_loop(const char *socket, const char *stream, uint64_t entries, uint64_t keys,
                   uint32_t value_bytes, struct bench_run *out)
{
    struct adder adder = {.context = redisConnectUnix(socket)};
    if (adder.context == NULL || adder.context->err != 0)
        return measure_failed("raw_hiredis", "no connection");
    adder.context->reader->maxbuf = 0;
    keys_init(&adder.keys, 3, keys, false);
    uint32_t len = value_bytes < VALUE_MAX ? value_bytes : VALUE_MAX;
    memset(adder.value, 'v', len);
    set_word(&adder, 0, "XADD", 4);
    set_word(&adder, 1, stream, strlen(stream));
    set_word(&adder, 2, "*", 1);
    set_word(&adder, 3, "k", 1);
    set_word(&adder, 5, "v", 1);
    set_word(&adder, 6, adder.value, len);
    double cpu_s = measure_cpu_s();
    double wall_s = measure_wall_s();
    int result = add_all(&adder, entries);
    out->wall_s = measure_wall_s() - wall_s;
    out->cpu_s = measure_cpu_s() - cpu_s;
    out->records = entries;
    redisFree(adder.context);
    return result;
}
