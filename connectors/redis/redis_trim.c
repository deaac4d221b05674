#include "redis_trim.h"

#include "base/clock.h"

#include "redis_command.h"
#include "redis_reply.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <string.h>

#define COMPONENT "redis"

enum {
    FIXED_WORDS = 6, /* EVAL, the script, how many keys, the stream, the limit, the own group */
    ENTRIES_MAX = 1000000 /* taken out in one step: some milliseconds of the server */
};

static const int64_t ns_per_ms = 1000000;

/* KEYS: the stream. ARGV: how many entries may go; groups that have to be there. Returns how many
 * went, or the name of a group that is missing. IDs are compared as numbers of any length, which
 * Lua's own numbers could not hold. Whole nodes of the stream go (~), never part of one. */
static const char script[] =
    "local function is_less(a, b)\n"
    "  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')\n"
    "  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')\n"
    "  if a_ms == b_ms then a_ms, b_ms = a_seq, b_seq end\n"
    "  if #a_ms ~= #b_ms then return #a_ms < #b_ms end\n"
    "  return a_ms < b_ms\n"
    "end\n"
    "local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])\n"
    "if groups.err then\n"
    "  if string.find(groups.err, 'no such key', 1, true) then return 0 end\n"
    "  return groups\n"
    "end\n"
    "local done, known = nil, {}\n"
    "for _, flat in ipairs(groups) do\n"
    "  local group = {}\n"
    "  for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end\n"
    "  local least = group['last-delivered-id']\n"
    "  if group['pending'] > 0 then\n"
    "    local oldest = redis.call('XPENDING', KEYS[1], group['name'])[2]\n"
    "    if is_less(oldest, least) then least = oldest end\n"
    "  end\n"
    "  if done == nil or is_less(least, done) then done = least end\n"
    "  known[group['name']] = true\n"
    "end\n"
    "for i = 2, #ARGV do\n"
    "  if not known[ARGV[i]] then return ARGV[i] end\n"
    "end\n"
    "return redis.call('XTRIM', KEYS[1], 'MINID', '~', done, 'LIMIT', ARGV[1])\n";

/* The next one of names with commas between them; empty behind the last. */
static strid_bytes next_name(const char **names)
{
    *names += strspn(*names, ",");
    strid_bytes name = strid_bytes_of(*names, strcspn(*names, ","));
    *names += name.len;
    return name;
}

static uint32_t count_names(const char *names)
{
    uint32_t count = 0;
    while (next_name(&names).len > 0)
        count++;
    return count;
}

static void put_trim(struct redis_stream *stream)
{
    struct buffer *out = &stream->connection.out;
    const char *names = stream->options->trim_groups == NULL ? "" : stream->options->trim_groups;
    redis_stream_expect(stream, REDIS_EXPECTED_TRIM, 0);
    redis_command_begin(out, FIXED_WORDS + count_names(names));
    redis_command_text(out, "EVAL");
    redis_command_text(out, script);
    redis_command_number(out, 1);
    redis_command_text(out, stream->name);
    redis_command_number(out, ENTRIES_MAX);
    redis_command_text(out, stream->options->group);
    for (strid_bytes name = next_name(&names); name.len > 0; name = next_name(&names))
        redis_command_word(out, name);
}

void redis_trim_restart(struct redis_stream *stream)
{
    stream->trim.due_ns = clock_monotonic_ns(&clock_system); /* a missing right is seen at once */
    stream->trim.is_under_way = false;
}

void redis_trim_plan(struct redis_stream *stream, int64_t now_ns)
{
    if (stream->options->trim_ms == 0 || stream->trim.is_under_way || stream->is_ending ||
        now_ns < stream->trim.due_ns || !redis_stream_has_room(stream))
        return;
    stream->trim.is_under_way = true;
    stream->trim.due_ns = now_ns + stream->options->trim_ms * ns_per_ms;
    put_trim(stream);
}

void redis_trim_take(struct redis_stream *stream, const struct redisReply *reply)
{
    stream->trim.is_under_way = false;
    if (reply->type == REDIS_REPLY_STRING) {
        if (!stream->trim.is_told)
            log_warn(stream->log, COMPONENT,
                     "stream %s is not trimmed: it has no group %.*s; make it, or take it out of "
                     "\"trim_groups\"",
                     stream->name, (int)reply->len, reply->str);
        stream->trim.is_told = true;
        return;
    }
    stream->trim.is_told = false;
    if (reply->integer == 0)
        return;
    stream->trim.taken += (uint64_t)reply->integer;
    log_debug(stream->log, COMPONENT,
              "stream %s: took out %lld entries that all groups had done (%" PRIu64 " so far)",
              stream->name, reply->integer, stream->trim.taken);
}
