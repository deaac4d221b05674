/* Whole pipelines of the public API over streams of a real server. The numbers are those of the
 * defects of other systems that docs/coverage.md lists. */
#include <criterion/criterion.h>

#include <hiredis/hiredis.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <strid/strid.h>

#include "support/redis_server.h"
#include "support/support.h"

enum { DEADLINE_MS = 30000, RECORDS_MAX = 8000, ATTEMPTS_MAX = 4, LATER_MS = 3000 };

static struct redis_server redis;
static redisContext *client;
static struct support_directory directory;

/* A pipeline that runs beside the test. What each record's handler saw is counted by its value,
 * "v<number>". */
struct node {
    const char *streams; /* in the URL */
    strid_handler handler;
    uint32_t max_attempts;
    strid_pipeline *pipeline;
    strid_store counts;
    pthread_t thread;
    strid_status status; /* of the run; read once it was joined */
    strid_error err;
    _Atomic uint32_t handled;
    _Atomic uint32_t seen[RECORDS_MAX][ATTEMPTS_MAX];
};

static struct node node;

static void start(void)
{
    redis_server_start(&redis, &(struct redis_server_options){.append = REDIS_SERVER_APPEND_NO});
    support_directory_create(&directory);
    client = redisConnectUnix(redis.socket);
}

static void stop(void)
{
    redisFree(client);
    strid_pipeline_destroy(node.pipeline);
    support_directory_remove(&directory);
    redis_server_remove(&redis);
}

TestSuite(redis_engine, .init = start, .fini = stop);

static uint32_t number_of(const strid_record *record)
{
    char text[16] = "";
    unsigned number = RECORDS_MAX - 1;
    if (record->value.len > 0)
        memcpy(text, record->value.data, record->value.len < 15 ? record->value.len : 15);
    (void)sscanf(text, "v%u", &number);
    return number < RECORDS_MAX ? number : RECORDS_MAX - 1;
}

static strid_outcome count(strid_context *ctx, const strid_record *record, void *user)
{
    uint32_t attempt = strid_attempt(ctx);
    (void)user;
    atomic_fetch_add(&node.seen[number_of(record)][attempt < ATTEMPTS_MAX ? attempt : 3], 1);
    atomic_fetch_add(&node.handled, 1);
    strid_state_put_i64(ctx, node.counts, strid_state_get_i64(ctx, node.counts, 0) + 1);
    return STRID_DONE;
}

static strid_outcome fail_the_fifth_once(strid_context *ctx, const strid_record *record, void *user)
{
    strid_outcome outcome = count(ctx, record, user);
    return number_of(record) == 5 && strid_attempt(ctx) == 0 ? STRID_RETRY : outcome;
}

static strid_outcome fail_the_fifth(strid_context *ctx, const strid_record *record, void *user)
{
    strid_outcome outcome = count(ctx, record, user);
    return number_of(record) == 5 ? STRID_RETRY : outcome;
}

static strid_outcome reject(strid_context *ctx, const strid_record *record, void *user)
{
    (void)count(ctx, record, user);
    return STRID_REJECT;
}

static void *run(void *user)
{
    (void)user;
    node.status = strid_pipeline_run(node.pipeline, &node.err);
    return NULL;
}

static void begin(void)
{
    static const int64_t pauses_ms[] = {20, LATER_MS, 20};
    char source[SUPPORT_PATH_MAX + 128], state[SUPPORT_PATH_MAX + 64];
    (void)snprintf(source, sizeof source,
                   "redis:///%s?group=g&field=value&key_field=key&block=50ms&socket=%s",
                   node.streams, redis.socket);
    (void)snprintf(state, sizeof state, "rocksdb:%s/state", directory.path);
    node.err = (strid_error)STRID_ERROR_INIT;
    strid_pipeline_options options = {STRID_PIPELINE_OPTIONS_INIT,
                                      .name = "redis",
                                      .source = source,
                                      .state = state,
                                      .format = "raw",
                                      .workers = 2,
                                      .max_attempts = node.max_attempts,
                                      .memory_bytes = 128u << 20,
                                      .retry_steps_ms = pauses_ms,
                                      .retry_step_count = 3};
    node.pipeline = strid_pipeline_create(&options, &node.err);
    cr_assert_not_null(node.pipeline, "%s", node.err.message);
    STRID_CHECK_OK(strid_pipeline_add_store(node.pipeline, "counts", &node.counts, &node.err),
                   node.err);
    STRID_CHECK_OK(strid_pipeline_on(node.pipeline, "*", node.handler, NULL, &node.err), node.err);
    cr_assert_eq(pthread_create(&node.thread, NULL, run, NULL), 0);
}

/* Stops it as SIGTERM does. */
static void end(void)
{
    strid_pipeline_stop(node.pipeline);
    cr_assert_eq(pthread_join(node.thread, NULL), 0);
    STRID_CHECK_OK(node.status, node.err);
    strid_pipeline_destroy(node.pipeline);
    node.pipeline = NULL;
}

static bool has_handled(void *user) { return atomic_load(&node.handled) >= *(uint32_t *)user; }

static void run_until_handled(uint32_t records)
{
    begin();
    cr_assert(support_wait(has_handled, &records, DEADLINE_MS), "%u of %u", node.handled, records);
    end();
}

static void ask(const char *command)
{
    redisReply *reply = redisCommand(client, command);
    cr_assert(reply != NULL && reply->type != REDIS_REPLY_ERROR, "%s: %s", command,
              reply == NULL ? "no answer" : reply->str);
    freeReplyObject(reply);
}

static void add(uint32_t first, uint32_t records)
{
    for (uint32_t i = first; i < first + records; i++)
        (void)redisAppendCommand(client, "XADD s * key k%u value v%u", i % 10, i);
    for (uint32_t i = 0; i < records; i++) {
        void *reply = NULL;
        cr_assert_eq(redisGetReply(client, &reply), REDIS_OK);
        freeReplyObject(reply);
    }
}

static long long pending(const char *stream)
{
    redisReply *reply = redisCommand(client, "XPENDING %s g", stream);
    long long entries = reply->element[0]->integer;
    freeReplyObject(reply);
    return entries;
}

static bool add_up(void *user, const strid_state_entry *entry)
{
    int64_t number = 0;
    memcpy(&number, entry->value.data, sizeof number);
    *(int64_t *)user += number;
    return true;
}

static int64_t total(void)
{
    char state[SUPPORT_PATH_MAX + 64];
    int64_t sum = 0;
    strid_error err = STRID_ERROR_INIT;
    (void)snprintf(state, sizeof state, "rocksdb:%s/state", directory.path);
    strid_state_reader *reader = strid_state_reader_open(state, &err);
    cr_assert_not_null(reader, "%s", err.message);
    STRID_CHECK_OK(strid_state_reader_scan(reader, "counts", add_up, &sum, &err), err);
    strid_state_reader_close(reader);
    return sum;
}

static void expect_seen(uint32_t number, const uint32_t expected[ATTEMPTS_MAX])
{
    for (int i = 0; i < ATTEMPTS_MAX; i++)
        cr_assert_eq(atomic_load(&node.seen[number][i]), expected[i], "v%u, attempt %d: %u", number,
                     i, atomic_load(&node.seen[number][i]));
}

static const uint32_t once[ATTEMPTS_MAX] = {1};

static void add_with_ids(const char *stream, const char *const *ids, uint32_t first)
{
    for (uint32_t i = 0; ids[i] != NULL; i++) {
        char command[160];
        (void)snprintf(command, sizeof command, "XADD %s %s key k value v%u", stream, ids[i],
                       first + i);
        ask(command);
    }
}

/* D2: as texts most of these come before one that was handled already, and the other stream's come
 * before all of them. A restart between them has only what is durable to go by. */
Test(redis_engine, ids_of_any_length_are_handled_once_over_runs)
{
    static const char *const a[] = {"0-9", "0-10", "0-99", "0-100", "9-5", NULL};
    static const char *const b[] = {"0-1", "0-2", NULL};
    static const char *const more_a[] = {"10-0",
                                         "99-1",
                                         "100-0",
                                         "999-18446744073709551615",
                                         "1000-0",
                                         "9007199254740992-1",
                                         "9007199254740993-1",
                                         "18446744073709551614-5",
                                         NULL};
    static const char *const more_b[] = {"0-3", "0-10", "5-5", NULL};
    node.streams = "a,b";
    node.handler = count;
    add_with_ids("a", a, 0);
    add_with_ids("b", b, 5);
    run_until_handled(7);
    add_with_ids("a", more_a, 7);
    add_with_ids("b", more_b, 15);
    run_until_handled(18);
    for (uint32_t i = 0; i < 18; i++)
        expect_seen(i, once);
    cr_assert_eq(total(), 18);
    cr_assert_eq(pending("a") + pending("b"), 0);
}

/* D3: what failed is older than what was handled meanwhile. */
Test(redis_engine, record_that_fails_once_takes_effect_once)
{
    static const uint32_t twice[ATTEMPTS_MAX] = {1, 1};
    node.streams = "s";
    node.handler = fail_the_fifth_once;
    add(0, 300);
    run_until_handled(301);
    for (uint32_t i = 0; i < 300; i++)
        expect_seen(i, i == 5 ? twice : once);
    cr_assert_eq(total(), 300);
    cr_assert_eq(pending("s"), 0);
}

static bool has_letter(void *user)
{
    redisReply *reply = redisCommand(client, "XLEN s-dlq");
    bool found = reply->integer == (long long)*(const uint32_t *)user;
    freeReplyObject(reply);
    return found;
}

static void wait_for_letters(uint32_t letters)
{
    cr_assert(support_wait(has_letter, &letters, DEADLINE_MS));
}

/* D5: in the same process at first, and counted on in the next. */
Test(redis_engine, attempts_are_made_in_time_and_counted_over_runs)
{
    static const uint32_t each[ATTEMPTS_MAX] = {1, 1, 1, 1};
    node.streams = "s";
    node.handler = fail_the_fifth;
    node.max_attempts = ATTEMPTS_MAX;
    add(0, 10);
    run_until_handled(11); /* the second attempt came 20 ms later; the third is far off */
    cr_assert_lt(atomic_load(&node.handled), 13u);
    begin();
    wait_for_letters(1);
    end();
    expect_seen(5, each);
    redisReply *letters = redisCommand(client, "XRANGE s-dlq - +");
    const redisReply *fields = letters->element[0]->element[1];
    bool told = false;
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (strcmp(fields->element[i]->str, "attempts") == 0)
            told = strcmp(fields->element[i + 1]->str, "4") == 0;
    cr_assert(told);
    freeReplyObject(letters);
    cr_assert_eq(total(), 9);
    cr_assert_eq(pending("s"), 0);
}

/* The n-th value of a field of a letter. */
static const redisReply *field_of(const redisReply *entry, const char *name, int n)
{
    const redisReply *fields = entry->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (strcmp(fields->element[i]->str, name) == 0 && n-- == 0)
            return fields->element[i + 1];
    return NULL;
}

static void expect_field(const redisReply *entry, const char *name, int n, strid_bytes expected)
{
    const redisReply *value = field_of(entry, name, n);
    cr_assert_not_null(value, "%s", name);
    cr_assert(strid_bytes_equal(strid_bytes_of(value->str, value->len), expected), "%s", name);
}

/* D7: what is dead-lettered is what came, byte by byte. */
Test(redis_engine, dead_letters_hold_the_bytes_that_came)
{
    static const char any[] = "\0\xff\r\n\"";
    static const char nested[] = "{\"a\": [1, {\"b\":null}],  \"c\":\"\\u00e9\"}";
    node.streams = "s";
    node.handler = reject;
    freeReplyObject(redisCommand(client, "XADD s 1-1 key %b value %b h 1 h %b", any, (size_t)5, any,
                                 (size_t)5, any, (size_t)5));
    freeReplyObject(redisCommand(client, "XADD s 2-1 value %b", nested, sizeof nested - 1));
    freeReplyObject(redisCommand(client, "XADD s 3-1 key k value %b", "", (size_t)0));
    ask("XADD s 4-1 key k other x"); /* no value at all */
    begin();
    wait_for_letters(4);
    end();
    redisReply *letters = redisCommand(client, "XRANGE s-dlq - +");
    cr_assert_eq(letters->elements, 4u);
    for (size_t i = 0; i < 4; i++) {
        const redisReply *letter = letters->element[i];
        const redisReply *position = field_of(letter, "position", 0);
        switch (position->str[0]) {
        case '1':
            expect_field(letter, "key", 0, strid_bytes_of(any, 5));
            expect_field(letter, "value", 0, strid_bytes_of(any, 5));
            expect_field(letter, "header:h", 0, strid_bytes_of_text("1"));
            expect_field(letter, "header:h", 1, strid_bytes_of(any, 5));
            break;
        case '2':
            expect_field(letter, "value", 0, strid_bytes_of(nested, sizeof nested - 1));
            cr_assert_null(field_of(letter, "key", 0));
            break;
        case '3':
            expect_field(letter, "value", 0, strid_bytes_of("", 0));
            break;
        default:
            cr_assert_null(field_of(letter, "value", 0));
            expect_field(letter, "header:other", 0, strid_bytes_of_text("x"));
            break;
        }
    }
    freeReplyObject(letters);
    cr_assert_eq(pending("s"), 0);
}

static unsigned calls(const char *statistics, const char *name)
{
    char wanted[64];
    unsigned count_of = 0;
    (void)snprintf(wanted, sizeof wanted, "cmdstat_%s:calls=%%u", name);
    const char *at = statistics;
    while ((at = strstr(at, "cmdstat_")) != NULL && sscanf(at, wanted, &count_of) != 1)
        at++;
    return count_of;
}

/* D14, D17: those systems take one record at a time. Idle reads and blocks count as well, and there
 * are more of them the slower the machine is. */
Test(redis_engine, records_are_read_acknowledged_and_made_durable_many_at_a_time)
{
    enum { RECORDS = 7000, AT_LEAST = 10 };
    node.streams = "s";
    node.handler = count;
    add(0, RECORDS);
    ask("CONFIG RESETSTAT");
    begin();
    uint32_t records = RECORDS;
    cr_assert(support_wait(has_handled, &records, DEADLINE_MS));
    strid_pipeline_stop(node.pipeline);
    cr_assert_eq(pthread_join(node.thread, NULL), 0);
    STRID_CHECK_OK(node.status, node.err);
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    strid_pipeline_get_stats(node.pipeline, &stats);
    redisReply *info = redisCommand(client, "INFO commandstats");
    cr_assert_gt(calls(info->str, "xack"), 0u);
    cr_assert_lt(calls(info->str, "xack"), (unsigned)(RECORDS / AT_LEAST));
    cr_assert_lt(calls(info->str, "xreadgroup"), (unsigned)(RECORDS / AT_LEAST));
    cr_assert_lt(calls(info->str, "xpending"), 5u);
    cr_assert_lt(calls(info->str, "xautoclaim"), 5u);
    cr_assert_lt(stats.blocks, (uint64_t)(RECORDS / AT_LEAST));
    cr_assert_lt(stats.syncs, (uint64_t)(RECORDS / AT_LEAST));
    freeReplyObject(info);
    cr_assert_eq(total(), RECORDS);
}

static void send_one(strid_producer *producer, uint32_t number)
{
    char value[16];
    (void)snprintf(value, sizeof value, "v%u", number);
    strid_output output = {.key = strid_bytes_of_text("key"), .value = strid_bytes_of_text(value)};
    strid_error err = STRID_ERROR_INIT;
    STRID_CHECK_OK(strid_producer_send(producer, &output, number, &err), err);
}

static long long length_of_made(void)
{
    redisReply *reply = redisCommand(client, "XLEN made");
    long long entries = reply->integer;
    freeReplyObject(reply);
    return entries;
}

static bool has_arrived(void *user)
{
    (void)user;
    return length_of_made() > 0;
}

static void refuse(void *user, uint64_t number, const strid_error *why)
{
    uint64_t *refused = user;
    cr_assert(strstr(why->message, "OOM") != NULL, "%s", why->message);
    cr_assert_eq(number, RECORDS_MAX + *refused);
    ++*refused;
}

Test(redis_engine, producer_sends_while_records_are_made)
{
    char url[SUPPORT_PATH_MAX + 64];
    uint64_t refused = 0;
    strid_error err = STRID_ERROR_INIT;
    (void)snprintf(url, sizeof url, "redis:///made?socket=%s", redis.socket);
    strid_producer *producer =
        strid_producer_create(&(strid_producer_options){STRID_PRODUCER_OPTIONS_INIT, .url = url,
                                                        .refused = refuse, .user = &refused},
                              &err);
    cr_assert_not_null(producer, "%s", err.message);
    for (uint32_t i = 0; i < RECORDS_MAX; i++)
        send_one(producer, i);
    cr_assert(support_wait(has_arrived, NULL, DEADLINE_MS)); /* and nobody has flushed */
    STRID_CHECK_OK(strid_producer_flush(producer, &err), err);
    cr_assert_eq(length_of_made(), RECORDS_MAX);
    ask("CONFIG SET maxmemory 1");
    for (uint32_t i = 0; i < 3 * RECORDS_MAX; i++) /* more than may be under way at a time */
        send_one(producer, RECORDS_MAX + i);
    STRID_CHECK_OK(strid_producer_flush(producer, &err), err);
    cr_assert_eq(refused, 3u * RECORDS_MAX);
    ask("CONFIG SET maxmemory 0");
    send_one(producer, 0);
    STRID_CHECK_OK(strid_producer_flush(producer, &err), err);
    cr_assert_eq(length_of_made(), RECORDS_MAX + 1);
    strid_producer_destroy(producer);
}
