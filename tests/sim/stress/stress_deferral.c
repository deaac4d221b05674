/* A program that embeds a pipeline whose handler only hands work on: other threads complete it, in
 * any order and late. Every record counts once, in the order of its key; a key whose record is not
 * completed keeps nobody else.
 * usage: stress_deferral [RECORDS_OF_A_KEY] */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <strid/strid.h>

enum { KEYS = 1000, EACH_DEFAULT = 8, EACH_MAX = 1000, THREADS = 3 };

struct work {
    strid_token token;
    uint32_t key;
    bool fails;
};

struct host {
    strid_pipeline *pipeline;
    strid_store seen;
    uint32_t each;
    pthread_mutex_t lock; /* guards the queue */
    struct work *queue;
    uint32_t count;
    struct work kept; /* of key 0: until all others are done */
    bool keeps;
    _Atomic uint32_t done, failed;
    _Atomic bool ended;
};

static void fail(const char *what)
{
    fprintf(stderr, "stress_deferral: %s\n", what);
    exit(1);
}

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    struct host *host = user;
    uint32_t key = 0, number = 0;
    memcpy(&key, record->key.data, sizeof key);
    memcpy(&number, record->value.data, sizeof number);
    if (strid_state_get_i64(ctx, host->seen, 0) != (int64_t)number)
        fail("a record came out of the order of its key, or twice");
    strid_state_put_i64(ctx, host->seen, (int64_t)number + 1);
    struct work work = {strid_defer(ctx), key,
                        number == 1 && key % 50 == 0 && strid_attempt(ctx) == 0};
    pthread_mutex_lock(&host->lock);
    if (key == 0 && number == 0) {
        host->kept = work;
        host->keeps = true;
    } else {
        host->queue[host->count++] = work;
    }
    pthread_mutex_unlock(&host->lock);
    return STRID_DEFERRED;
}

/* Any of them, while there are many or nothing more comes; the record that was kept comes last. */
static bool take(struct host *host, uint32_t *random, struct work *work)
{
    bool taken = false;
    pthread_mutex_lock(&host->lock);
    if (host->count > 0) {
        *random = *random * 1664525 + 1013904223;
        uint32_t at = (*random >> 8) % host->count;
        *work = host->queue[at];
        host->queue[at] = host->queue[--host->count];
        taken = true;
    } else if (host->keeps && host->done == (KEYS - 1) * host->each) {
        *work = host->kept;
        host->keeps = false;
        taken = true;
    }
    pthread_mutex_unlock(&host->lock);
    return taken;
}

static void *complete(void *user)
{
    struct host *host = user;
    strid_error err = STRID_ERROR_INIT;
    strid_completer *completer = strid_completer_create(host->pipeline, &err);
    uint32_t random = 7;
    struct work work;
    if (completer == NULL)
        fail(err.message);
    while (!host->ended) {
        if (!take(host, &random, &work)) {
            (void)sched_yield();
            continue;
        }
        if (strid_complete(completer, work.token, work.fails ? STRID_RETRY : STRID_DONE) !=
            STRID_OK)
            fail("the only completion of a record was refused");
        if (strid_complete(completer, work.token, STRID_DONE) != STRID_ESTALE)
            fail("a second completion was taken");
        (void)atomic_fetch_add(work.fails ? &host->failed : &host->done, 1);
    }
    strid_completer_destroy(completer);
    return NULL;
}

static void *push(void *user)
{
    struct host *host = user;
    for (uint32_t number = 0; number < host->each; number++)
        for (uint32_t key = 0; key < KEYS; key++) {
            strid_status status;
            while ((status = strid_push(host->pipeline, 0, strid_bytes_of(&key, sizeof key),
                                        strid_bytes_of(&number, sizeof number), 0)) == STRID_AGAIN)
                (void)sched_yield();
            if (status != STRID_OK)
                fail("a record was not taken");
        }
    strid_push_end(host->pipeline);
    return NULL;
}

static void run(struct host *host)
{
    pthread_t threads[THREADS + 1];
    strid_error err = STRID_ERROR_INIT;
    for (int i = 0; i <= THREADS; i++)
        if (pthread_create(&threads[i], NULL, i == THREADS ? push : complete, host) != 0)
            fail("no thread");
    if (strid_pipeline_run(host->pipeline, &err) != STRID_OK)
        fail(err.message);
    host->ended = true;
    for (int i = 0; i <= THREADS; i++)
        (void)pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    strid_error err = STRID_ERROR_INIT;
    struct host host = {.each = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : EACH_DEFAULT};
    if (host.each == 0 || host.each > EACH_MAX)
        fail("1 to 1,000 records of a key");
    host.queue = calloc((size_t)KEYS * EACH_MAX, sizeof *host.queue); /* NOLINT */
    pthread_mutex_init(&host.lock, NULL);
    host.pipeline =
        strid_pipeline_create(&(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "host",
                                                        .source = "memory:in", .format = "raw",
                                                        .workers = 3, .memory_bytes = 128u << 20},
                              &err);
    if (host.pipeline == NULL || host.queue == NULL ||
        strid_pipeline_add_store(host.pipeline, "seen", &host.seen, &err) != STRID_OK ||
        strid_pipeline_on(host.pipeline, "*", handle, &host, &err) != STRID_OK)
        fail(err.message);
    run(&host);
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    strid_pipeline_get_stats(host.pipeline, &stats);
    strid_pipeline_destroy(host.pipeline);
    free(host.queue);
    printf("%" PRIu64 " records, %" PRIu32 " of them failed once\n", stats.done, host.failed);
    if (stats.done != (uint64_t)KEYS * host.each || host.failed != KEYS / 50)
        fail("not every record was done");
    return 0;
}
