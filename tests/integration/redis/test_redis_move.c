/* Dead letters whose entries are acknowledged with them, in one step of a real server: neither or
 * both, whatever happens to the connection. */
#include <criterion/criterion.h>

#include <hiredis/hiredis.h>

#include <stdio.h>
#include <string.h>

#include "conformance/connector_case.h"
#include "support/fault_proxy.h"
#include "support/redis_server.h"

enum {
    DEADLINE_MS = 20000,
    ANSWER_BYTES = 24,       /* of a move: an ID as a text, and some more */
    ANSWER_OTHERS_BYTES = 6, /* of one that was not done */
    SAME_SINK = 3
};

static struct redis_server redis;
static struct fault_proxy *proxy;
static struct opened_sink sink;
static redisContext *client;
static strid_error err = STRID_ERROR_INIT;

static void start(void)
{
    redis_server_start(&redis, &(struct redis_server_options){.append = REDIS_SERVER_APPEND_NO});
    proxy = fault_proxy_start(redis.port);
    client = redisConnectUnix(redis.socket);
}

static void stop(void)
{
    sink_close(&sink);
    redisFree(client);
    fault_proxy_stop(proxy);
    redis_server_remove(&redis);
}

TestSuite(redis_move, .init = start, .fini = stop);

static void ask(const char *command)
{
    redisReply *reply = redisCommand(client, command);
    cr_assert(reply != NULL && reply->type != REDIS_REPLY_ERROR, "%s: %s", command,
              reply == NULL ? "no answer" : reply->str);
    freeReplyObject(reply);
}

static long long letters(void)
{
    redisReply *reply = redisCommand(client, "XLEN s-dlq");
    long long count = reply->integer;
    freeReplyObject(reply);
    return count;
}

static long long pending(void)
{
    redisReply *reply = redisCommand(client, "XPENDING s g");
    long long count = reply->element[0]->integer;
    freeReplyObject(reply);
    return count;
}

static strid_status try_open(const char *login)
{
    char url[256];
    (void)snprintf(url, sizeof url, "redis://%s127.0.0.1:%u/s-dlq?move_from=g", login,
                   (unsigned)fault_proxy_port(proxy));
    return sink_open_url(&sink, url, &err);
}

/* An entry that a consumer of the group was given. */
static void give(uint64_t high)
{
    char command[64];
    (void)snprintf(command, sizeof command, "XADD s %llu-7 value v", (unsigned long long)high);
    ask(command);
    ask("XREADGROUP GROUP g me STREAMS s >");
}

static void begin(void)
{
    ask("XGROUP CREATE s g 0 MKSTREAM");
    ask("XGROUP CREATECONSUMER s g me:mark"); /* as the node's source makes it */
    STRID_CHECK_OK(try_open(""), err);
}

/* Of this node, whose consumer is "me"; empty: nobody knows whose it is. */
static const char *consumer = "me";

static void put_letter(uint64_t high, uint32_t header_count, const strid_header *headers)
{
    const strid_dead_letter letter = {.source = "redis:",
                                      .topic = strid_bytes_of_text("s"),
                                      .position = {high, 7},
                                      .reason = strid_bytes_of_text("rejected"),
                                      .pipeline = "p",
                                      .node = "n",
                                      .fingerprint = strid_bytes_of_text(consumer)};
    const strid_output output = {.id = strid_bytes_of_text("i"),
                                 .value = strid_bytes_of_text("v"),
                                 .timestamp_ms = STRID_TIMESTAMP_NONE,
                                 .headers = headers,
                                 .header_count = header_count,
                                 .dead_letter = &letter};
    STRID_CHECK_OK(sink.ops->write(sink.self, &output, 1, &err), err);
}

static strid_status write_letter(uint64_t high, uint32_t header_count, const strid_header *headers)
{
    put_letter(high, header_count, headers);
    return sink.ops->flush(sink.self, &err);
}

static strid_status move(uint64_t high) { return write_letter(high, 0, NULL); }

static bool is_moved(void *user) { return move(*(const uint64_t *)user) == STRID_OK; }

Test(redis_move, letter_is_added_and_its_entry_acknowledged)
{
    begin();
    give(1);
    give(2);
    STRID_CHECK_OK(move(2), err);
    cr_assert_eq(letters(), 1);
    cr_assert_eq(pending(), 1);
    STRID_CHECK_OK(move(2), err); /* again, as after a crash that forgot it */
    cr_assert_eq(letters(), 1);
    STRID_CHECK_OK(move(1), err);
    cr_assert_eq(letters(), 2);
    cr_assert_eq(pending(), 0);
}

/* By the same sink, and by that of another run: a connection that keeps failing waits for longer
 * and longer. */
static void send_again(uint64_t high)
{
    fault_proxy_set(proxy, &(struct fault_proxy_rules){0});
    if (high > SAME_SINK) {
        sink_close(&sink);
        STRID_CHECK_OK(try_open(""), err);
    }
    cr_assert(support_wait(is_moved, &high, DEADLINE_MS), "%s", err.message);
}

/* The answer ends anywhere, and the letter is sent again. */
Test(redis_move, cut_at_any_byte_leaves_one_letter_or_a_pending_entry)
{
    begin();
    for (uint64_t i = 1; i <= ANSWER_BYTES; i++) {
        give(i);
        fault_proxy_set(proxy, &(struct fault_proxy_rules){.reset_at_bytes = i});
        (void)move(i);
        cr_assert_eq(letters() + pending(), (long long)i, "%llu", (unsigned long long)i);
        send_again(i);
        cr_assert_eq(letters(), (long long)i, "%llu", (unsigned long long)i);
        cr_assert_eq(pending(), 0);
    }
}

/* Somebody else has it, and was faster. */
Test(redis_move, entry_that_another_consumer_settled_gets_no_letter)
{
    begin();
    give(1);
    ask("XCLAIM s g other 0 1-7");
    ask("XACK s g 1-7");
    STRID_CHECK_OK(move(1), err);
    cr_assert_eq(letters(), 0);
}

/* The numbers of those letters of the last flush that are another's, "0,2,". */
static void expect_declined(const char *numbers)
{
    char text[64] = "";
    uint32_t count = 0;
    const uint32_t *declined = sink.ops->declined(sink.self, &count);
    for (uint32_t i = 0; i < count; i++)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%u,", declined[i]);
    cr_assert_str_eq(text, numbers);
}

/* Somebody else has it, and settles it: not even its acknowledgement is touched. */
Test(redis_move, entry_that_another_consumer_has_gets_no_letter_and_stays_pending)
{
    begin();
    for (uint64_t i = 1; i <= 5; i++)
        give(i);
    ask("XCLAIM s g other 0 1-7 4-7");
    ask("XACK s g 3-7");
    for (uint64_t i = 1; i <= 5; i++)
        put_letter(i, 0, NULL);
    STRID_CHECK_OK(sink.ops->flush(sink.self, &err), err);
    expect_declined("0,3,");
    cr_assert_eq(letters(), 2);
    cr_assert_eq(pending(), 2);
    ask("XCLAIM s g me 0 1-7"); /* it comes back to this node */
    STRID_CHECK_OK(move(1), err);
    expect_declined("");
    cr_assert_eq(letters(), 3);
    cr_assert_eq(pending(), 1);
    consumer = ""; /* a letter that does not say whose it is */
    STRID_CHECK_OK(move(4), err);
    cr_assert_eq(letters(), 4);
    cr_assert_eq(pending(), 0);
}

/* An entry that is deleted cannot be handled by whoever has it. */
Test(redis_move, letter_is_kept_where_another_consumer_has_what_is_deleted)
{
    begin();
    give(1);
    ask("XCLAIM s g other 0 1-7");
    ask("XDEL s 1-7");
    STRID_CHECK_OK(move(1), err);
    expect_declined("");
    cr_assert_eq(letters(), 1);
    cr_assert_eq(pending(), 0);
}

/* Whatever becomes of the answer, it is another's in the end, and pending. */
Test(redis_move, cut_at_any_byte_leaves_what_is_anothers_alone)
{
    begin();
    for (uint64_t i = 1; i <= ANSWER_OTHERS_BYTES; i++) {
        give(i);
        char claim[64];
        (void)snprintf(claim, sizeof claim, "XCLAIM s g other 0 %llu-7", (unsigned long long)i);
        ask(claim);
        fault_proxy_set(proxy, &(struct fault_proxy_rules){.reset_at_bytes = i});
        (void)move(i);
        send_again(i);
        expect_declined("0,");
        cr_assert_eq(letters(), 0);
        cr_assert_eq(pending(), (long long)i);
    }
}

/* Nobody can say that somebody else has it: rather twice than never. */
Test(redis_move, letter_is_kept_where_entry_or_group_are_gone)
{
    begin();
    give(1);
    ask("FLUSHALL");
    STRID_CHECK_OK(move(1), err);
    cr_assert_eq(letters(), 1);
    ask("XADD s 2-7 value v");
    ask("XGROUP CREATE s g $");
    ask("XDEL s 2-7");
    STRID_CHECK_OK(move(2), err);
    cr_assert_eq(letters(), 2);
}

/* What a group that is gone had given is not pending in the one that was made in its place, and
 * nobody has settled it. */
static void lose_group(void)
{
    ask("XGROUP DESTROY s g");
    ask("XGROUP CREATE s g $");
}

Test(redis_move, letter_is_kept_where_the_group_was_made_again)
{
    begin();
    give(1);
    give(2);
    lose_group();
    STRID_CHECK_OK(move(1), err); /* the source has not noticed yet */
    cr_assert_eq(letters(), 1);
    ask("XGROUP CREATECONSUMER s g me:mark:x"); /* whatever that is */
    ask("XGROUP CREATECONSUMER s g me:mark:2-7");
    STRID_CHECK_OK(move(2), err);
    cr_assert_eq(letters(), 2);
    for (uint64_t i = 3; i <= 10; i += 7) { /* behind the loss, once */
        give(i);
        STRID_CHECK_OK(move(i), err);
        STRID_CHECK_OK(move(i), err);
    }
    cr_assert_eq(letters(), 4);
    cr_assert_eq(pending(), 0);
}

/* IDs that a number of the script would take for the same. */
Test(redis_move, place_of_a_loss_is_exact)
{
    const uint64_t high = UINT64_C(1) << 53;
    begin();
    give(high);
    give(high + 1);
    lose_group();
    ask("XGROUP CREATECONSUMER s g me:mark:9007199254740992-7");
    give(high + 2);
    STRID_CHECK_OK(move(high), err);
    cr_assert_eq(letters(), 1);
    STRID_CHECK_OK(move(high + 1), err); /* as if another had settled it */
    cr_assert_eq(letters(), 1);
    STRID_CHECK_OK(move(high + 2), err);
    cr_assert_eq(letters(), 2);
}

/* Each of the rights is looked for before anything is changed. */
Test(redis_move, missing_right_changes_nothing)
{
    static const char *const rights[] = {"eval", "xpending", "xrange", "xinfo|consumers",
                                         "xack", "xadd"};
    ask("XGROUP CREATE s g 0 MKSTREAM");
    ask("XGROUP CREATECONSUMER s g me:mark");
    ask("ACL SETUSER me on >secret ~s ~s-dlq +client|setname +eval +xpending +xrange +xack +xadd "
        "+xinfo|consumers");
    STRID_CHECK_OK(try_open("me:secret@"), err);
    for (uint64_t i = 0; i < sizeof rights / sizeof rights[0]; i++) {
        char command[64];
        const bool is_spared = strcmp(rights[i], "xrange") == 0 || /* needed only by a repeat */
                               strcmp(rights[i], "xinfo|consumers") == 0;
        give(i + 1);
        (void)snprintf(command, sizeof command, "ACL SETUSER me -%s", rights[i]);
        ask(command);
        cr_assert_eq(move(i + 1) == STRID_OK, is_spared, "%s: %s", rights[i], err.message);
        cr_assert_eq(letters() + pending(), (long long)i + 1, "%s", rights[i]);
        cr_assert_eq(pending(), is_spared ? 0 : 1, "%s", rights[i]);
        (void)snprintf(command, sizeof command, "ACL SETUSER me +%s", rights[i]);
        ask(command);
        uint64_t high = i + 1;
        cr_assert(support_wait(is_moved, &high, DEADLINE_MS), "%s", err.message);
        cr_assert_eq(letters(), (long long)i + 1);
    }
}

/* More fields than a script takes apart: the letter is not lost, and its entry stays pending until
 * the engine has it acknowledged. */
Test(redis_move, letter_of_very_many_fields_is_added_all_the_same)
{
    enum { HEADERS = 9000 };
    static strid_header headers[HEADERS];
    for (int i = 0; i < HEADERS; i++)
        headers[i] = (strid_header){strid_bytes_of_text("h"), strid_bytes_of_text("v")};
    begin();
    give(1);
    STRID_CHECK_OK(write_letter(1, HEADERS, headers), err);
    cr_assert_eq(letters(), 1);
    cr_assert_eq(pending(), 1);
}

Test(redis_move, replies_are_not_moved)
{
    char url[128];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%u/r?mode=reply&move_from=g",
                   (unsigned)fault_proxy_port(proxy));
    cr_assert_eq(sink_open_url(&sink, url, &err), STRID_ECONFIG);
    cr_assert(strstr(err.message, "move_from") != NULL, "%s", err.message);
}
