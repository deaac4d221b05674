#include "redis_hand_back.h"

#include <strid/inspect.h>

#include "base/error.h"

#include "redis_command.h"
#include "redis_fields.h"
#include "redis_pages.h"

#include <hiredis/hiredis.h>

#include <string.h>

#define COMPONENT "redis"

/* KEYS: the letters' stream, the other one. ARGV: the letter's id; names and values, where it is to
 * be handed back. What may fail, a missing right included, fails before anything has changed: an
 * ID of 0-0 is never there. 1: it was there. */
static const char script[] = "if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then\n"
                             "  return 0\n"
                             "end\n"
                             "redis.call('XDEL', KEYS[1], '0-0')\n"
                             "if #ARGV > 1 then\n"
                             "  redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))\n"
                             "end\n"
                             "redis.call('XDEL', KEYS[1], ARGV[1])\n"
                             "return 1\n";

struct hand_back {
    const struct redis_address *source;
    const struct redis_source_options *options;
    strid_letter_fate_fn fn;
    void *user;
    struct redis_fields fields;
    struct strid_dlq_replayed *result;
};

/* The stream's name; NULL: the source does not read it. */
static const char *find_stream(const struct redis_address *source, strid_bytes topic)
{
    for (uint32_t i = 0; i < source->stream_count; i++)
        if (strid_bytes_equal(strid_bytes_of_text(source->streams[i]), topic))
            return source->streams[i];
    return NULL;
}

/* `to` NULL: the letter goes without being handed back. */
static strid_status move(struct redis_pages *pages, const struct redisReply *entry, const char *to,
                         bool *was_there, strid_error *err)
{
    const struct hand_back *hand_back = pages->user;
    struct buffer *out = &pages->connection.out;
    struct redisReply *reply = NULL;
    const uint32_t count = to == NULL ? 0 : redis_fields_count(&hand_back->fields);
    redis_command_begin(out, 6 + 2 * count);
    redis_command_text(out, "EVAL");
    redis_command_text(out, script);
    redis_command_number(out, 2);
    redis_command_text(out, pages->address.stream);
    redis_command_text(out, to == NULL ? pages->address.stream : to);
    redis_command_word(out, redis_reply_bytes(entry->element[0]));
    for (uint32_t i = 0; i < count; i++) {
        redis_command_word(out, redis_fields_at(&hand_back->fields, i)->name);
        redis_command_word(out, redis_fields_at(&hand_back->fields, i)->value);
    }
    STRID_TRY(redis_connection_next(&pages->connection, &reply, err));
    strid_status status = redis_reply_check(reply, "handing a letter back", err);
    *was_there = reply->type == REDIS_REPLY_INTEGER && reply->integer == 1;
    redis_reply_free(reply);
    return status;
}

static strid_status see(struct redis_pages *pages, const struct redisReply *entry, strid_error *err)
{
    struct hand_back *hand_back = pages->user;
    const struct redis_letter *letter = &pages->letter;
    const char *to = find_stream(hand_back->source, letter->letter.topic);
    bool was_there = false;
    const strid_letter_fate fate = hand_back->fn(hand_back->user, &letter->output);
    if (fate == STRID_LETTER_STAYS)
        return STRID_OK;
    if (fate == STRID_LETTER_GOES)
        return move(pages, entry, NULL, &was_there, err);
    if (to == NULL || strcmp(to, pages->address.stream) == 0) {
        hand_back->result->orphaned++;
        return STRID_OK;
    }
    if (!redis_fields_restore(&hand_back->fields, hand_back->options, letter, entry)) {
        hand_back->result->unreadable++;
        return STRID_OK;
    }
    STRID_TRY(move(pages, entry, to, &was_there, err));
    hand_back->result->replayed += was_there ? 1 : 0;
    return STRID_OK;
}

static strid_status check_server(const struct redis_address *source,
                                 const strid_connector_args *dlq, strid_error *err)
{
    struct redis_address letters;
    const struct redis_sink_options *options = dlq->options;
    STRID_TRY(redis_address_parse(&letters, dlq->scheme, dlq->target, &options->server, err));
    bool is_same = strcmp(letters.identity, source->identity) == 0 &&
                   letters.config->database == source->config->database;
    strid_status status =
        is_same ? STRID_OK
                : error_set(err, STRID_EUNSUPPORTED, COMPONENT,
                            "the letters are at %s, database %d, and the source at %s, database "
                            "%d: they can be handed back only within one, named in the same way",
                            letters.shown, (int)letters.config->database, source->shown,
                            (int)source->config->database);
    redis_address_fini(&letters);
    return status;
}

strid_status redis_hand_back(const struct redis_address *source,
                             const struct redis_source_options *options,
                             const strid_connector_args *dlq, strid_letter_fate_fn fn, void *user,
                             struct strid_dlq_replayed *result, strid_error *err)
{
    struct hand_back hand_back = {
        .source = source, .options = options, .fn = fn, .user = user, .result = result};
    struct redis_pages pages = {.see = see, .user = &hand_back};
    STRID_TRY(check_server(source, dlq, err));
    strid_status status = redis_pages_walk(&pages, dlq, err);
    redis_fields_fini(&hand_back.fields);
    return status;
}
